//! What the tests share: skips that are counted, and the real things to test against.

pub(crate) mod database;
pub(crate) mod headend;
pub(crate) mod http;
pub(crate) mod ledger;
pub(crate) mod mosquitto;
pub(crate) mod postgres;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod publisher;
pub(crate) mod skip;
pub(crate) mod temp;

/// A number from the environment: how often a test repeats, or its seed.
pub(crate) fn setting(name: &str, otherwise: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "tests/run sets how long tests take")]
    let value = std::env::var(name).ok();
    value.map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// Random numbers of a test, which prints its seed and takes it back as `HEADEND_SEED`.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(test: &str) -> Self {
        let seed = setting("HEADEND_SEED", u64::from(std::process::id()));
        println!("{test}: seed={seed}");
        Self(seed)
    }

    /// Splitmix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn between_ms(&mut self, low: u64, high: u64) -> std::time::Duration {
        std::time::Duration::from_millis(low + self.next() % (high - low + 1))
    }
}

/// Tests that load the machine and measure waits run one at a time.
pub(crate) static HEAVY: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
