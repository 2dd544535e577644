// What the admin API answers, as types for the editor and for `tsc --checkJs`. Nothing of it is there at run time: no
// module imports it but in a JSDoc comment. The shapes are those of `config/openapi.json`.

/**
 * @typedef {object} WindowJson What was seen in the last ten seconds or so.
 * @property {number} seconds
 * @property {number} requests
 * @property {number | null} [requests_per_second]
 * @property {number} failures
 * @property {number | null} [error_ratio]
 * @property {number} in_flight
 * @property {number | null} [p50_seconds]
 * @property {number | null} [p95_seconds]
 * @property {number | null} [p99_seconds]
 */

/** @typedef {{signal: string, odds?: number | null, odds_log10?: number | null}} SignalJson */

/**
 * @typedef {object} OutsideJson A number that others know.
 * @property {string} name
 * @property {boolean} acts
 * @property {string} state `undecided`, `good`, `bad` or `failing`
 * @property {string} wanted
 * @property {number} bad
 * @property {number} failures
 * @property {number | null} [value]
 * @property {number | null} [stable]
 * @property {number | null} [age_seconds]
 * @property {string | null} [asked]
 * @property {string | null} [missing]
 */

/**
 * @typedef {object} VerdictJson
 * @property {string} verdict `healthy`, `unhealthy` or `undecided`
 * @property {string} reason
 * @property {number | null} [odds]
 * @property {number | null} [odds_log10]
 * @property {boolean} [holds]
 * @property {SignalJson[]} [signals]
 * @property {OutsideJson[]} [outside]
 * @property {string} [compared_with]
 */

/** @typedef {{strikes: number, strikes_max?: number | null, sentence: string, next_step_seconds?: number | null}} BackOffJson */

/**
 * @typedef {object} LotsJson What the lots gave, beside what the weights say.
 * @property {number} drawn
 * @property {number} expected
 * @property {number} given
 * @property {boolean} mismatch
 * @property {number} ended
 * @property {number} unjudged
 * @property {boolean} unjudged_mismatch
 */

/**
 * @typedef {object} CanaryJson
 * @property {string} name
 * @property {string} upstream
 * @property {string} aim
 * @property {number} aim_ppm
 * @property {string} ceiling
 * @property {number} ceiling_ppm
 * @property {string} effective
 * @property {number} effective_ppm
 * @property {string} file_aim
 * @property {number} file_aim_ppm
 * @property {BackOffJson | null} [back_off]
 * @property {LotsJson | null} [lots]
 * @property {VerdictJson} verdict
 * @property {WindowJson} window
 */

/** @typedef {{upstream: string, effective: string, effective_ppm: number, window: WindowJson}} StableJson */

/** @typedef {{by: string, why: string, at_ms: number, at?: string | null, decision: string}} CordJson */

/**
 * @typedef {object} PlanStepJson
 * @property {string} to
 * @property {number} to_ppm
 * @property {string | null} [mirror]
 * @property {number} ramp_seconds
 * @property {number} hold_seconds
 * @property {boolean} proof
 * @property {boolean} approve
 * @property {number} within_seconds
 */

/**
 * @typedef {object} ReleaseJson
 * @property {string} id
 * @property {string} plan
 * @property {string} canary
 * @property {string} upstream
 * @property {string} by
 * @property {string} why
 * @property {number} started_ms
 * @property {string} state a phase, `held`, or `promoted`, `aborted`, `backed_off`
 * @property {string} phase `raising`, `holding`, `proving`, `approving`, `ready`, `promoting`
 * @property {number} step from 1 on
 * @property {PlanStepJson[]} steps
 * @property {number} since_ms
 * @property {number | null} [until_ms]
 * @property {string | null} [waits_for]
 * @property {{by: string, why: string, at_ms: number} | null} [held]
 * @property {{how: string, by: string, why: string, at_ms: number} | null} [ended]
 */

/**
 * @typedef {object} DrillJson
 * @property {string} canary
 * @property {string} share
 * @property {string} by
 * @property {string} why
 * @property {number} at_ms
 * @property {number} until_ms
 * @property {string} decision
 * @property {number} injected
 * @property {string | null} [ended]
 * @property {number | null} [back_off_seconds]
 * @property {number | null} [last_request_seconds]
 */

/**
 * @typedef {object} SelfTestJson
 * @property {boolean} alarm
 * @property {boolean} suspended
 * @property {string | null} [reason]
 * @property {string} share
 * @property {number} share_ppm
 * @property {number | null} [odds]
 * @property {number | null} [odds_log10]
 */

/**
 * @typedef {object} MirrorJson
 * @property {string} upstream
 * @property {string} share
 * @property {number} share_ppm
 * @property {number} same
 * @property {number} different
 * @property {number} dropped
 * @property {WindowJson} window
 */

/**
 * @typedef {object} RouteJson
 * @property {string} name
 * @property {number} revision
 * @property {boolean} deny
 * @property {boolean} unsaved
 * @property {boolean} [drifts]
 * @property {CordJson | null} [cord]
 * @property {StableJson | null} [stable]
 * @property {CanaryJson[]} canaries
 * @property {SelfTestJson | null} [self_test]
 * @property {DrillJson | null} [drill]
 * @property {ReleaseJson | null} [release]
 * @property {string | null} [previous_stable]
 * @property {MirrorJson | null} [mirror]
 */

/** @typedef {{at?: string | null, at_ms: number, routes: RouteJson[]}} SampleJson */

/**
 * @typedef {object} DecisionJson
 * @property {string} id
 * @property {number} at_ms
 * @property {string | null} [at]
 * @property {string} route
 * @property {string | null} [canary]
 * @property {string} action
 * @property {string} by
 * @property {string} why
 * @property {string} before
 * @property {number} before_ppm
 * @property {string} after
 * @property {number} after_ppm
 * @property {number | null} [seq]
 * @property {string | null} [hash]
 * @property {string | null} [previous]
 * @property {any} [evidence]
 */

/** @typedef {{requests: number, failed: number}} SeenJson */

/**
 * @typedef {object} TickJson
 * @property {number} at_ms
 * @property {number} seconds
 * @property {boolean} decided
 * @property {SeenJson} canary
 * @property {SeenJson} stable
 * @property {number | null} [odds]
 * @property {number | null} [odds_log10]
 * @property {SignalJson[]} signals
 * @property {{quantile: number, stable_slow_seconds: number, canary_slow_seconds: number}[]} marks
 */

/** @typedef {{decision: DecisionJson, replayed?: boolean | null, note?: string | null, ticks: TickJson[]}} EvidenceJson */

/** @typedef {{low?: number | null, median?: number | null, high?: number | null}} SpreadJson */

/**
 * @typedef {object} HarmJson
 * @property {number} worse_ratio
 * @property {number} seen_ratio
 * @property {number} runs
 * @property {SpreadJson} delay_seconds
 * @property {SpreadJson} canary_requests
 * @property {SpreadJson} failed_requests
 */

/** @typedef {{worse_ratio: number, runs: number, weight?: string | null, weight_ppm?: number | null}} WeightNeededJson */

/**
 * @typedef {object} ForecastJson
 * @property {string | null} [route]
 * @property {string | null} [canary]
 * @property {string} weight
 * @property {number} weight_ppm
 * @property {number} requests_per_second
 * @property {number} canary_requests_per_second
 * @property {number} base_ratio
 * @property {boolean} acts
 * @property {string} within
 * @property {number} within_seconds
 * @property {HarmJson[]} harms
 * @property {string | null} [undecided]
 * @property {{ratio?: number | null, runs: number} | null} [smallest_seen]
 * @property {WeightNeededJson | null} [weight_needed]
 * @property {WeightNeededJson | null} [blind_spot]
 */

/** @typedef {{name: string, role: string, proof: string}} SessionJson */

export {};
