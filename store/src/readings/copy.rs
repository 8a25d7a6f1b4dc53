//! COPY BINARY from buffers made by hand.

use std::pin::pin;

use bytes::{BufMut, Bytes};
use futures_util::SinkExt;
use metering::UtcTime;

use crate::database::Connection;
use crate::error::StoreError;
use crate::types::stamp_to_wire;

/// Signature, no flags, no header extension.
const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: &[u8; 2] = &[0xff, 0xff];

/// Rows in COPY's binary format while they are made.
#[derive(Clone, Debug)]
pub(super) struct CopyRows {
    bytes: Vec<u8>,
}

/// A finished COPY; clones share the bytes.
#[derive(Clone, Debug)]
pub(super) struct CopyData {
    bytes: Bytes,
}

impl CopyRows {
    /// `bytes`: what the rows will need.
    pub(super) fn new(bytes: usize) -> Self {
        let mut buffer = Vec::with_capacity(HEADER.len() + bytes + TRAILER.len());
        buffer.extend_from_slice(HEADER);
        Self { bytes: buffer }
    }

    pub(super) fn row(&mut self, fields: i16) {
        self.bytes.put_i16(fields);
    }

    pub(super) fn int2(&mut self, value: i16) {
        self.bytes.put_i32(2);
        self.bytes.put_i16(value);
    }

    pub(super) fn int4(&mut self, value: i32) {
        self.bytes.put_i32(4);
        self.bytes.put_i32(value);
    }

    pub(super) fn int8(&mut self, value: i64) {
        self.bytes.put_i32(8);
        self.bytes.put_i64(value);
    }

    pub(super) fn stamp(&mut self, at: UtcTime) {
        self.int8(stamp_to_wire(at));
    }

    pub(super) fn null(&mut self) {
        self.bytes.put_i32(-1);
    }

    /// Text or bytea. A field of 2 GiB and more is not a field; the packet limit is 4 MiB.
    pub(super) fn blob(&mut self, value: &[u8]) {
        let len = i32::try_from(value.len()).unwrap_or(i32::MAX);
        self.bytes.put_i32(len);
        self.bytes.extend_from_slice(&value[..usize::try_from(len).unwrap_or(0)]);
    }

    pub(super) fn finish(mut self) -> CopyData {
        self.bytes.extend_from_slice(TRAILER);
        CopyData { bytes: self.bytes.into() }
    }
}

impl CopyData {
    /// The chosen rows only. All rows are `row_len` bytes long.
    pub(super) fn choose(&self, row_len: usize, rows: &[usize]) -> Self {
        let mut chosen = CopyRows::new(rows.len() * row_len);
        for row in rows {
            let start = HEADER.len() + row * row_len;
            chosen.bytes.extend_from_slice(&self.bytes[start..start + row_len]);
        }
        chosen.finish()
    }

    /// Sends all rows with `statement`, a `COPY .. FROM STDIN BINARY`; gives the number stored.
    pub(super) async fn send(
        &self,
        client: &Connection,
        statement: &str,
        what: &'static str,
    ) -> Result<u64, StoreError> {
        let query = StoreError::query(what);
        let statement = client.prepare_cached(statement).await.map_err(&query)?;
        let sink = client.copy_in::<_, Bytes>(&statement).await.map_err(&query)?;
        let mut sink = pin!(sink);
        sink.send(self.bytes.clone()).await.map_err(&query)?;
        sink.finish().await.map_err(&query)
    }
}
