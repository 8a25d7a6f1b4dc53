//! Through the extended link layer (EN 13757-4, 13), authentication and fragmentation (AFL) and the
//! transport layer (EN 13757-7) to the records, decrypted.

use super::crypt::{self, BLOCK, Key, Purpose};
use super::frame::{Frame, Identity, crc};
use super::keys::Keys;
use crate::format::{RejectReason, Rejected};

/// What a telegram holds once all layers are off.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) identity: Identity,
    pub(super) status: u8,
    /// Mode of the transport layer's configuration word.
    pub(super) mode: u8,
    pub(super) trust: Trust,
    /// The records, or what stands for them in a short telegram.
    pub(super) records: Vec<u8>,
    /// Without field headers (CI 73, 79, 7B).
    pub(super) is_compact: bool,
}

/// How far the content is known to come from the device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Trust {
    /// Neither encrypted nor authenticated, or decrypted by whoever passed it on.
    Plain,
    /// Our key decrypted it to what must stand there.
    Decrypted,
    /// Its authentication code is right.
    Authenticated,
}

impl Trust {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Decrypted => "decrypted",
            Self::Authenticated => "authenticated",
        }
    }
}

/// Authentication and fragmentation layer, single fragments.
#[derive(Debug)]
struct Afl {
    control: u8,
    counter: Option<[u8; 4]>,
    length: Vec<u8>,
    mac: Vec<u8>,
}

#[derive(Debug)]
struct Transport {
    identity: Identity,
    access: u8,
    status: u8,
    config: u16,
    /// Where the content begins, from the CI field on.
    content_at: usize,
    is_compact: bool,
}

/// Layers before the transport layer.
const LAYERS_MAX: usize = 4;
/// Filler that decrypted content begins with.
const FILLER: [u8; 2] = [0x2F, 0x2F];

/// Takes the layers off.
///
/// # Errors
/// [`RejectReason::NoKey`], [`RejectReason::BadTag`] and [`RejectReason::Policy`] concern keys;
/// other reasons say what is not as the standard has it.
pub(super) fn open(frame: &Frame, keys: &Keys) -> Result<Message, Rejected> {
    let mut rest = frame.body.clone();
    let mut afl = None;
    let mut trust = Trust::Plain;
    for _ in 0..LAYERS_MAX {
        let Some(ci) = rest.first().copied() else { return Err(cut_off("a layer")) };
        let skip = match ci {
            0x8C => 3,
            0x8E => 11,
            0x8D | 0x8F => {
                (rest, trust) = session(frame, &rest, keys)?;
                continue;
            }
            0x90 => {
                let (layer, length) = Afl::parse(&rest)?;
                afl = Some(layer);
                length
            }
            0x72 | 0x73 | 0x78 | 0x79 | 0x7A | 0x7B => {
                let transport = Transport::parse(frame, &rest, ci)?;
                return transport.open(&rest, afl.as_ref(), keys, trust);
            }
            0xA0..=0xB7 => {
                return Err(RejectReason::Undecoded.because(format!(
                    "the maker's own application layer, CI {ci:02X}{}",
                    of(frame)
                )));
            }
            other => {
                return Err(
                    RejectReason::UnknownType.because(format!("CI {other:02X}{}", of(frame)))
                );
            }
        };
        rest = rest.get(skip..).ok_or_else(|| cut_off("a layer"))?.to_vec();
    }
    Err(RejectReason::BadFormat.because("more layers than a telegram has"))
}

fn of(frame: &Frame) -> String {
    frame.sender.map_or_else(String::new, |sender| format!(" of {sender}"))
}

fn cut_off(what: &str) -> Rejected {
    RejectReason::BadFormat.because(format!("the telegram ends within {what}"))
}

/// CI 8D and 8F: the rest of the telegram is encrypted by AES-CTR, its check sum with it.
fn session(frame: &Frame, layer: &[u8], keys: &Keys) -> Result<(Vec<u8>, Trust), Rejected> {
    let number_at = if layer[0] == 0x8F { 11 } else { 3 };
    let (Some(control), Some(number), Some(secret)) =
        (layer.get(1), layer.get(number_at..number_at + 4), layer.get(number_at + 4..))
    else {
        return Err(cut_off("the extended link layer"));
    };
    let plain = |bytes: &[u8]| {
        let (sum, content) = bytes.split_first_chunk::<2>()?;
        (crc(content) == u16::from_le_bytes(*sum)).then(|| content.to_vec())
    };
    let sender = frame
        .sender
        .ok_or_else(|| RejectReason::NoIdentity.because("a session on a wired bus names nobody"))?;
    match (number[3] >> 5, keys.of(&sender.digits())) {
        (0, _) => plain(secret).map(|content| (content, Trust::Plain)).ok_or_else(|| {
            RejectReason::BadChecksum.because("the check sum of the extended link layer is wrong")
        }),
        (1, None) => plain(secret).map(|content| (content, Trust::Plain)).ok_or_else(|| {
            RejectReason::NoKey.because(format!("{sender} encrypts its link layer"))
        }),
        (1, Some(key)) => {
            let mut iv = [0; 16];
            iv[..2].copy_from_slice(&sender.maker);
            iv[2..6].copy_from_slice(&sender.number);
            (iv[6], iv[7], iv[8]) = (sender.version, sender.medium, *control);
            iv[9..13].copy_from_slice(number);
            let mut secret = secret.to_vec();
            crypt::ctr(key, &iv, &mut secret);
            plain(&secret).map(|content| (content, Trust::Decrypted)).ok_or_else(|| wrong(&sender))
        }
        (mode, _) => Err(RejectReason::Undecoded
            .because(format!("{sender} encrypts its link layer in an unknown way, {mode}"))),
    }
}

fn wrong(sender: &Identity) -> Rejected {
    RejectReason::BadTag.because(format!("the configured key does not fit a telegram of {sender}"))
}

impl Afl {
    /// CI 90; also the bytes it takes with the CI field.
    fn parse(layer: &[u8]) -> Result<(Self, usize), Rejected> {
        let length = usize::from(*layer.get(1).ok_or_else(|| cut_off("the AFL"))?);
        let mut fields = layer.get(2..2 + length).ok_or_else(|| cut_off("the AFL"))?;
        let mut take = |count: usize| -> Result<Vec<u8>, Rejected> {
            let (taken, rest) = fields.split_at_checked(count).ok_or_else(|| cut_off("the AFL"))?;
            fields = rest;
            Ok(taken.to_vec())
        };
        let head = take(2)?;
        let present = |bit: u8| head[1] >> bit & 1 == 1;
        if present(6) {
            return Err(RejectReason::Undecoded.because("a fragment of a longer message"));
        }
        let control = if present(5) { take(1)?[0] } else { 0 };
        if present(1) {
            take(2)?;
        }
        let counter = if present(3) { take(4)?.try_into().ok() } else { None };
        let mac = if present(2) { take(mac_length(control)?)? } else { Vec::new() };
        let length_field = if present(4) { take(2)? } else { Vec::new() };
        Ok((Self { control, counter, length: length_field, mac }, 2 + length))
    }

    /// Whether the authentication code fits the message, `from_ci` being its bytes on the air.
    fn verify(&self, key: &Key, number: [u8; 4], from_ci: &[u8]) -> Option<bool> {
        let counter = self.counter.filter(|_| !self.mac.is_empty())?;
        let key = crypt::derive(key, Purpose::Authentication, counter, number);
        let mac = crypt::cmac(&key, &[&[self.control], &counter, &self.length, from_ci]);
        Some(crypt::same(&mac[..self.mac.len()], &self.mac))
    }
}

/// Bytes of the authentication code by its kind (OMS volume 2, table of AFL.MCL).
fn mac_length(control: u8) -> Result<usize, Rejected> {
    match control & 0x0F {
        3 => Ok(2),
        4 => Ok(4),
        5 => Ok(8),
        6 => Ok(12),
        7 => Ok(16),
        kind => Err(RejectReason::Undecoded.because(format!("authentication of kind {kind}"))),
    }
}

impl Transport {
    fn parse(frame: &Frame, layer: &[u8], ci: u8) -> Result<Self, Rejected> {
        let header = |from: usize| -> Result<(u8, u8, u16), Rejected> {
            match layer.get(from..from + 4) {
                Some(&[access, status, low, high]) => {
                    Ok((access, status, u16::from_le_bytes([low, high])))
                }
                _ => Err(cut_off("the transport layer's header")),
            }
        };
        let sender = frame.sender.ok_or_else(|| {
            RejectReason::NoIdentity.because("a short header on a wired bus names nobody")
        });
        let is_compact = matches!(ci, 0x73 | 0x79 | 0x7B);
        let (identity, (access, status, config), content_at) = match ci {
            0x72 | 0x73 => {
                let long = layer.get(1..9).and_then(Identity::long);
                (long.ok_or_else(|| cut_off("the long header"))?, header(9)?, 13)
            }
            0x7A | 0x7B => (sender?, header(1)?, 5),
            _ => (sender?, (0, 0, 0), 1),
        };
        Ok(Self { identity, access, status, config, content_at, is_compact })
    }

    fn open(
        &self,
        layer: &[u8],
        afl: Option<&Afl>,
        keys: &Keys,
        before: Trust,
    ) -> Result<Message, Rejected> {
        let mode = u8::try_from(self.config >> 8 & 0x1F).unwrap_or(0);
        // One more byte says which key and how it is derived.
        let content_at = self.content_at + usize::from(mode == 7);
        let content = layer.get(content_at..).ok_or_else(|| cut_off("the header"))?;
        let key = keys.of(&self.identity.digits());
        let mut trust = before;
        let mut records = content.to_vec();
        match mode {
            0 => {}
            5 | 7 => {
                trust = self.decrypt(mode, &mut records, afl, key)?.max(before);
                records.drain(..FILLER.len().min(records.len()));
            }
            mode => {
                return Err(RejectReason::Undecoded
                    .because(format!("{} encrypts by mode {mode}", self.identity)));
            }
        }
        if let (Some(key), Some(afl)) = (key, afl) {
            match afl.verify(key, self.identity.number, layer) {
                Some(true) => trust = Trust::Authenticated,
                Some(false) => return Err(wrong(&self.identity)),
                None => {}
            }
        }
        if key.is_some() && trust == Trust::Plain {
            return Err(RejectReason::Policy.because(format!(
                "{} has a key, and this telegram is not encrypted",
                self.identity
            )));
        }
        let (identity, status, is_compact) = (self.identity, self.status, self.is_compact);
        Ok(Message { identity, status, mode, trust, records, is_compact })
    }

    /// Modes 5 (the device's key, a vector from the header) and 7 (a key per message).
    fn decrypt(
        &self,
        mode: u8,
        content: &mut [u8],
        afl: Option<&Afl>,
        key: Option<&Key>,
    ) -> Result<Trust, Rejected> {
        let Some(key) = key else {
            // Whoever passed it on has decrypted it and left the header as it was.
            return if content.starts_with(&FILLER) {
                Ok(Trust::Plain)
            } else {
                let detail = format!("{} encrypts by mode {mode}", self.identity);
                Err(RejectReason::NoKey.because(detail))
            };
        };
        let blocks = usize::from(self.config >> 4 & 0x0F);
        let bytes = if mode == 7 && blocks == 15 { content.len() } else { blocks * BLOCK };
        let secret = content.get_mut(..bytes).ok_or_else(|| cut_off("the encrypted blocks"))?;
        if mode == 5 {
            crypt::cbc(key, &self.vector(), secret);
        } else {
            let counter = afl.and_then(|afl| afl.counter).ok_or_else(|| {
                RejectReason::BadFormat.because("mode 7 without a message counter")
            })?;
            let key = crypt::derive(key, Purpose::Encryption, counter, self.identity.number);
            crypt::cbc(&key, &[0; BLOCK], secret);
        }
        if !content.starts_with(&FILLER) {
            return Err(wrong(&self.identity));
        }
        Ok(Trust::Decrypted)
    }

    /// Maker, address, and the access number eight times.
    fn vector(&self) -> [u8; 16] {
        let mut vector = [self.access; 16];
        vector[..2].copy_from_slice(&self.identity.maker);
        vector[2..6].copy_from_slice(&self.identity.number);
        (vector[6], vector[7]) = (self.identity.version, self.identity.medium);
        vector
    }
}
