//! Good inputs bent by a seeded stream: the same target and round give the same bytes everywhere.

/// What text decoders stumble over.
const TOKENS: [&[u8]; 30] = [
    b"null",
    b"-1",
    b"1e400",
    b"-0",
    b"1e-400",
    b"0.000000000000000000000000000001",
    b"\"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"(",
    b")",
    b"*",
    b"!",
    b"\r\n",
    b"\n",
    b"\\u0000",
    b"\\ud800",
    b"NaN",
    b"99999999999999999999",
    b"9223372036854775808",
    b"\xff",
    b"\0",
    b"0",
    b"true",
    b"\xc3\xa9",
    b"\"9999-12-31T23:59:59Z\"",
    b"0000-00-00",
];
/// Lengths and counts that binary decoders stumble over.
const EDGES: [u8; 12] = [0, 1, 2, 0x0f, 0x2f, 0x7f, 0x80, 0x81, 0x84, 0xc0, 0xfe, 0xff];
/// The longest input that is made, in bytes.
const GROWN_MAX: usize = 96 << 10;

/// Xorshift, made of a seed.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The stream of one round of one target.
    pub(crate) fn of(target: &str, round: u64) -> Self {
        let mut state = 0x5EED_0001_u64 ^ round.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        for byte in target.bytes() {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
        let mut this = Self(state | 1);
        this.next();
        this.next();
        this
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From 0 to below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 11).unwrap_or(0) % end.max(1)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[3]
    }
}

/// The input of a round.
pub(crate) fn input(target: &str, seeds: &[&[u8]], round: u64) -> Vec<u8> {
    let mut random = Random::of(target, round);
    if seeds.is_empty() || random.below(40) == 0 {
        let len = random.below(300);
        return (0..len).map(|_| random.byte()).collect();
    }
    let mut bytes = seeds[random.below(seeds.len())].to_vec();
    if random.below(20) == 0 {
        crossed(&mut random, &mut bytes, seeds);
    }
    for _ in 0..=random.below(5) {
        bend(&mut random, &mut bytes);
    }
    if random.below(400) == 0 {
        grow(&mut random, &mut bytes);
    }
    bytes
}

/// The beginning of one input, the end of another.
fn crossed(random: &mut Random, bytes: &mut Vec<u8>, seeds: &[&[u8]]) {
    let other = seeds[random.below(seeds.len())];
    bytes.truncate(random.below(bytes.len() + 1));
    bytes.extend_from_slice(&other[random.below(other.len() + 1)..]);
}

fn bend(random: &mut Random, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        bytes.push(random.byte());
        return;
    }
    let at = random.below(bytes.len());
    let len = random.below(12).min(bytes.len() - at);
    match random.below(9) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = EDGES[random.below(EDGES.len())],
        2 => bytes[at] = random.byte(),
        3 => bytes.truncate(at),
        4 => drop(bytes.drain(at..at + len)),
        5 => {
            let piece = bytes[at..at + len].to_vec();
            let to = random.below(bytes.len());
            bytes.splice(to..to, piece);
        }
        6 => {
            let token = TOKENS[random.below(TOKENS.len())];
            drop(bytes.splice(at..at + len, token.iter().copied()));
        }
        _ => {
            // One number becomes another.
            if let Some(digit) = bytes[at..].iter().position(u8::is_ascii_digit) {
                bytes[at + digit] = b'0' + random.byte() % 10;
            }
        }
    }
}

/// A piece over and over: nesting, long lists, long texts.
fn grow(random: &mut Random, bytes: &mut Vec<u8>) {
    let at = random.below(bytes.len());
    let len = (1 + random.below(60)).min(bytes.len() - at);
    let piece = bytes[at..at + len].to_vec();
    if piece.is_empty() {
        return;
    }
    let times = (GROWN_MAX / piece.len()).min(1 + random.below(4_000));
    let grown: Vec<u8> = piece.iter().copied().cycle().take(piece.len() * times).collect();
    bytes.splice(at..at, grown);
}
