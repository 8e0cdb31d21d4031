//! Memory that is never taken back: a plan is made in some megabytes, and the instance is then of no further use.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::{memory_grow, memory_size, unreachable};
use core::cell::Cell;
use core::panic::PanicInfo;
use core::ptr;

/// Bytes of a page of WebAssembly's.
const PAGE: usize = 1 << 16;

struct Memory {
    /// What is still free begins here, and goes to the end. Nothing yet is free at 0.
    next: Cell<usize>,
}

// SAFETY: the memory is not shared, so one thread has it.
unsafe impl Sync for Memory {}

#[global_allocator]
static MEMORY: Memory = Memory { next: Cell::new(0) };

// SAFETY: a block begins at its alignment, where the one before it has ended, and ends within the memory.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let end = memory_size(0) * PAGE;
        let free = if self.next.get() == 0 { end } else { self.next.get() };
        let start = free.next_multiple_of(layout.align());
        let next = start + layout.size();
        if next > end && memory_grow(0, (next - end).div_ceil(PAGE).max(end / PAGE)) == usize::MAX {
            return ptr::null_mut();
        }
        self.next.set(next);
        ptr::with_exposed_provenance_mut(start)
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

/// The page hears of a trap, and computes on the CPU.
#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    unreachable()
}
