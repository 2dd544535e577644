//! `[workers]`: how many data-plane threads.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers {
    /// 1 to [`Workers::COUNT_MAX`]; default one a core.
    pub count: usize,
}

impl Workers {
    pub const COUNT_MAX: usize = 256;
}
