//! Zip archives: the members of the first level, bounded, never an archive within an archive.

use std::io::Read;

use super::LineFault;
use crate::format::RejectReason;

/// A member may be so many times larger than it is packed; meter data pack to a tenth or so.
const RATIO_MAX: u64 = 200;
/// All members together, in bytes.
pub const UNPACKED_BYTES_MAX: u64 = 1 << 30;
const MEMBERS_MAX: usize = 1_000;

/// True when the bytes are a zip archive.
pub fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

/// Name and bytes of each member that is a file, in the order of the archive.
///
/// # Errors
/// A damaged archive, one that is encrypted or packed otherwise than by deflate, one with too many
/// members, and one whose members grow more than 200 times or over 1 GiB.
pub fn members(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, LineFault> {
    let bad = |detail: String| LineFault::new(0, RejectReason::BadFormat, detail, "");
    let broken = |error: &dyn std::fmt::Display| bad(format!("the zip archive: {error}"));
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).map_err(|e| broken(&e))?;
    if archive.len() > MEMBERS_MAX {
        return Err(bad(format!("{} members, the limit is {MEMBERS_MAX}", archive.len())));
    }
    let mut left = UNPACKED_BYTES_MAX;
    let mut found = Vec::new();
    for at in 0..archive.len() {
        let member = archive.by_index(at).map_err(|e| broken(&e))?;
        if !member.is_file() {
            continue;
        }
        let name = member.name().map_err(|e| broken(&e))?.into_owned();
        let most =
            member.compressed_size().saturating_mul(RATIO_MAX).saturating_add(4_096).min(left);
        let mut content = Vec::new();
        // One byte more than allowed tells an honest end from a bomb; the size that the archive
        // states is never trusted.
        member.take(most + 1).read_to_end(&mut content).map_err(|e| broken(&e))?;
        if content.len() as u64 > most {
            let detail = format!("`{name}` grows more than {RATIO_MAX} times, or over 1 GiB");
            return Err(LineFault::new(0, RejectReason::TooLarge, detail, ""));
        }
        if is_zip(&content) {
            return Err(bad(format!("`{name}` is an archive within the archive: unpack it first")));
        }
        left -= content.len() as u64;
        found.push((name, content));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated);
        for (name, content) in files {
            writer.start_file(*name, options).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn members_come_out_and_bombs_do_not() {
        let archive = packed(&[("a.csv", b"100,NEM12\r\n"), ("b.csv", b"x")]);
        assert!(is_zip(&archive));
        let found = members(&archive).unwrap();
        assert_eq!(found[0], ("a.csv".to_owned(), b"100,NEM12\r\n".to_vec()));
        assert_eq!(found.len(), 2);
        let bomb = packed(&[("zeros", &vec![0; 8 << 20])]);
        assert_eq!(members(&bomb).unwrap_err().reason, RejectReason::TooLarge);
        let nested = packed(&[("inner.zip", &archive)]);
        assert!(members(&nested).unwrap_err().detail.contains("within the archive"));
        for cut in 0..archive.len() {
            let _ = members(&archive[..cut]);
        }
    }
}
