-- For wrk: the method and the size of the body as arguments, and the figures as a line of JSON, with p99.9.
function init(arguments)
    wrk.method = arguments[1]
    if tonumber(arguments[2]) > 0 then
        wrk.body = string.rep("u", tonumber(arguments[2]))
    end
end

function done(summary, latency)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    local line = '{"requests": %d, "seconds": %.6f, "failed": %d, "p50_ms": %.3f, "p99_ms": %.3f, "p999_ms": %.3f}\n'
    io.write(line:format(summary.requests, summary.duration / 1e6, failed, latency:percentile(50) / 1000,
        latency:percentile(99) / 1000, latency:percentile(99.9) / 1000))
end
