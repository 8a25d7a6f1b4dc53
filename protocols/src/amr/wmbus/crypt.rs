//! AES-128 as EN 13757-7 and OMS volume 2 use it: CBC for modes 5 and 7, CTR for the extended link
//! layer, CMAC for keys derived per message and for authentication.

use aes::Aes128;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit, StreamCipher};
use cmac::{Cmac, KeyInit, Mac};

pub(super) type Key = [u8; 16];
pub(super) const BLOCK: usize = 16;

/// Decrypts whole blocks in place; a rest that is shorter than a block stays as it is.
pub(super) fn cbc(key: &Key, iv: &[u8; 16], bytes: &mut [u8]) {
    let mut cipher = cbc::Decryptor::<Aes128>::new(key.into(), iv.into());
    let (blocks, _) = bytes.as_chunks_mut::<BLOCK>();
    for block in blocks {
        cipher.decrypt_block(block.into());
    }
}

/// Encrypts or decrypts in place.
pub(super) fn ctr(key: &Key, iv: &[u8; 16], bytes: &mut [u8]) {
    ctr::Ctr128BE::<Aes128>::new(key.into(), iv.into()).apply_keystream(bytes);
}

/// CMAC (RFC 4493) over the parts in their order.
pub(super) fn cmac(key: &Key, parts: &[&[u8]]) -> [u8; 16] {
    let mut mac = <Cmac<Aes128> as KeyInit>::new(key.into());
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// What a derived key is for (OMS volume 2, 9.5.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    Encryption = 0,
    Authentication = 1,
}

/// A key that is valid for one message of a meter, by its message counter.
pub(super) fn derive(key: &Key, purpose: Purpose, counter: [u8; 4], number: [u8; 4]) -> Key {
    cmac(key, &[&[purpose as u8], &counter, &number, &[7; 7]])
}

/// Compares without telling by its duration where two tags differ.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |sum, (x, y)| sum | (x ^ y)) == 0
}
