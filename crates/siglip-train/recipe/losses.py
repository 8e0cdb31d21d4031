"""The losses of a batch."""

import torch
import torch.nn.functional as F

from batches import Mix

# What drives e^x to 0 without making NaN of differences.
NEVER = -1e4


def share_of(mixed: Mix, of: torch.Tensor) -> torch.Tensor:
    """What is so of mixed pictures, where `of` [pictures, ...] is so of each by itself."""
    return mixed.share * of + (1 - mixed.share) * of[mixed.other]


class Truths:
    """What is known of each picture and phrase: truths [pictures, phrases] are 1 where the phrase is true of a picture,
    0 where it is false, -1 where that can't be told. `once` [phrases] is 1 over the number of times that the phrase is
    there."""

    def __init__(self, truths: torch.Tensor, phrases: torch.Tensor, mixed: Mix):
        self.true = (truths > 0).float()
        known = (truths >= 0).float()
        self.mixed = mixed
        self.known = known * known[mixed.other]
        self.share = share_of(mixed, self.true)
        self.once = 1 / (phrases[:, None] == phrases).float().sum(1)

    def sigmoid(self, logits: torch.Tensor) -> torch.Tensor:
        """The pairwise sigmoid loss of 2303.15343, a picture: minus the log of the probability that the model gives to
        what is known of each pair, summed over the phrases. Of a mixed picture a phrase is true by its share."""
        loss = F.binary_cross_entropy_with_logits(logits, self.share, reduction="none")
        return (loss * self.known * self.once).sum() / len(logits)

    def softmax(self, logits: torch.Tensor) -> torch.Tensor:
        """The contrastive softmax loss (CLIP, 2103.00020) with every true pair of a row or a column as its target."""
        logits = logits + self.once.log()
        among = lambda mask: logits + torch.where(mask > 0, mask.clamp(min=1e-6).log(), NEVER)
        # Each of the two pictures that are mixed asks for its own phrases.
        one, other = among(self.true), among(self.true[self.mixed.other])
        share = self.mixed.share[:, 0]
        of_row = among(torch.maximum(self.known, (self.share > 0).float())).logsumexp(1)
        by_picture = (of_row - share * one.logsumexp(1) - (1 - share) * other.logsumexp(1)).mean()
        hits = among(self.share)
        all_pairs = among(torch.maximum(self.known, (self.share > 0).float()))
        # A phrase that is true of no picture of the batch has no row to point at: its column is left out.
        counted = (self.share.amax(0) > 0.3).float() * self.once
        by_phrase = ((all_pairs.logsumexp(0) - hits.logsumexp(0)) * counted).sum() / counted.sum().clamp(min=1)
        return by_picture + by_phrase


def distillation(student: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """How far the student's shares of some classes are from the teacher's [pictures, classes]: the cross entropy
    (Hinton et al., 1503.02531), less the least that it can be."""
    least = -torch.special.entr(shares)
    return (least - shares * F.log_softmax(student, 1)).sum(1).mean()
