"""How long something has worked, and what it says meanwhile."""

import time

import torch


class Work:
    """Seconds of work: a GPU's by the clock; of the processor its own time over the number of threads, as others may
    have their turn in between."""

    def __init__(self, device: torch.device):
        self.clock = time.monotonic if device.type == "cuda" else lambda: time.process_time() / torch.get_num_threads()
        self.before = -self.clock()

    def seconds(self) -> float:
        return self.before + self.clock()


def log(*text):
    print(time.strftime("%H:%M:%S"), *text, flush=True)


def pace(done: float, rise: float = 0.05, fall: float = 0.8) -> float:
    """The learning rates' share of their highest after the share `done` of the work: up in the share `rise`, down to
    nothing in the share `fall`, in straight lines."""
    return max(0.0, min(done / rise, 1.0, (1 - done) / fall))
