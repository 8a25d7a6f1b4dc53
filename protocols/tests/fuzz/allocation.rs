//! An allocator that watches what one thread asks for while it decodes one input.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The allocator of this test binary.
#[derive(Debug)]
pub(crate) struct Watched;

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Use {
    /// The largest single allocation, in bytes.
    pub(crate) largest: usize,
    /// The most that was held at once, in bytes.
    pub(crate) peak: usize,
    held: usize,
}

thread_local! {
    static NOW: Cell<Use> = const { Cell::new(Use { largest: 0, peak: 0, held: 0 }) };
}

/// What the call asked for on this thread.
pub(crate) fn of<T>(call: impl FnOnce() -> T) -> (T, Use) {
    NOW.set(Use::default());
    let made = call();
    (made, NOW.get())
}

impl Watched {
    fn took(size: usize) {
        // A thread that ends has no counter any more, and nothing to count.
        let _ = NOW.try_with(|now| {
            let Use { largest, peak, held } = now.get();
            let held = held.saturating_add(size);
            now.set(Use { largest: largest.max(size), peak: peak.max(held), held });
        });
    }

    fn gave(size: usize) {
        let _ = NOW.try_with(|now| {
            let used = now.get();
            now.set(Use { held: used.held.saturating_sub(size), ..used });
        });
    }
}

#[expect(unsafe_code, reason = "the trait is unsafe; every call goes to the system's allocator")]
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::took(layout.size());
        // SAFETY: the caller's duties are passed on unchanged, here and below.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        Self::gave(layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::took(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::gave(layout.size());
        Self::took(size);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}
