//! A serial line of this host: raw, with the speed and parity of the bus (Serial Line V1.02, 2.5.1).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, QueueSelector,
    SpecialCodeIndex, tcflush, tcgetattr, tcsetattr,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe::{Receiver, Sender};

/// How a line is set up. The standard's default is 19200 baud, even parity, one stop bit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SerialSettings {
    /// Such as `/dev/ttyUSB0`.
    pub path: PathBuf,
    pub baud: u32,
    pub parity: Parity,
    /// 1 or 2.
    pub stop_bits: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Parity {
    None,
    Even,
    Odd,
}

/// An open line.
#[derive(Debug)]
pub struct SerialLine {
    reading: Receiver,
    writing: Sender,
}

impl std::str::FromStr for Parity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "even" => Ok(Self::Even),
            "odd" => Ok(Self::Odd),
            _ => Err(format!("`{text}` is none of: none, even, odd")),
        }
    }
}

/// Opens and sets up the line; what it still holds is thrown away.
///
/// # Errors
/// What a person can do something about.
pub fn open(settings: &SerialSettings) -> Result<SerialLine, String> {
    let shown = settings.path.display();
    let flags = rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).map_err(|_| "unknown open flags".to_owned())?;
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&settings.path);
    let file = file.map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("{shown}: {error}; the account of the head-end needs the group `dialout`")
        }
        io::ErrorKind::NotFound => format!("{shown}: {error}; is the adapter plugged in?"),
        _ => format!("{shown}: {error}"),
    })?;
    set_up(&file, settings).map_err(|error| format!("{shown} is no serial line: {error}"))?;
    // The runtime's pipes are what it has for any descriptor that can be waited for.
    let line = file.try_clone().and_then(|other| {
        let (reading, writing) =
            (Receiver::from_file_unchecked(file)?, Sender::from_file_unchecked(other)?);
        Ok(SerialLine { reading, writing })
    });
    line.map_err(|error| format!("{shown}: {error}"))
}

fn set_up(file: &File, settings: &SerialSettings) -> rustix::io::Result<()> {
    let mut line = tcgetattr(file)?;
    line.input_modes = InputModes::empty();
    line.output_modes = OutputModes::empty();
    line.local_modes = LocalModes::empty();
    line.control_modes = ControlModes::CREAD | ControlModes::CLOCAL | ControlModes::CS8;
    match settings.parity {
        Parity::None => {}
        Parity::Even => line.control_modes |= ControlModes::PARENB,
        Parity::Odd => line.control_modes |= ControlModes::PARENB | ControlModes::PARODD,
    }
    if settings.stop_bits == 2 {
        line.control_modes |= ControlModes::CSTOPB;
    }
    line.special_codes[SpecialCodeIndex::VMIN] = 1;
    line.special_codes[SpecialCodeIndex::VTIME] = 0;
    line.set_speed(settings.baud)?;
    tcsetattr(file, OptionalActions::Now, &line)?;
    tcflush(file, QueueSelector::IOFlush)
}

impl AsyncRead for SerialLine {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reading).poll_read(cx, buf)
    }
}

impl AsyncWrite for SerialLine {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writing).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writing).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writing).poll_shutdown(cx)
    }
}
