"""Trains the student: train.py DATA OUT [--seconds 1800] [--init FOLDER]

DATA is what views.py, captions.py and teacher.py wrote. The student learns from captions and from what the teacher says of
the very views that it sees (2106.05237), for so many seconds of work, of a GPU or of the processor. OUT keeps the state, from
which the same command goes on where it was stopped, and in the end gets the model in the hub's layout.
"""

import argparse
import copy
from pathlib import Path

import torch

from batches import Pictures, Validation, Views
from losses import Truths, distillation
from optimizer import Optimizer
from retell import retell
from said import Captions
from student import Shape, Student, Tower, interpolated, read, write
from teacher import Classes, Teacher
from work import Work, log, pace

# After so much of the work pictures are shown with all their patches, and photographs hardly mixed: what the model will see.
LATE = 0.85
# By how much the averaged weights follow in a step.
FOLLOWING = 0.004


def tower(text: str) -> Tower:
    return Tower(*map(int, text.split(",")))


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=1800, help="of work, over all runs")
    parser.add_argument("--init", type=Path, help="a model of an earlier training to begin with")
    parser.add_argument("--earlier", type=float, default=0, help="share of INIT in the weights that are written (2109.01903)")
    parser.add_argument("--side", type=int, default=Shape.side, help="of a picture in pixels")
    parser.add_argument("--patch", type=int, default=Shape.patch, help="a patch's side in pixels")
    parser.add_argument("--vision", type=tower, default=Shape.vision, help="width,layers,heads,inner")
    parser.add_argument("--text", type=tower, default=Shape.text, help="the same of the text tower")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--muon-rate", type=float, default=0.005)
    parser.add_argument("--adam-rate", type=float, default=0.001)
    parser.add_argument("--mixed", type=float, default=0.5, help="of the photographs, but at the end")
    parser.add_argument("--retell", type=float, default=120, help="seconds of work for a text tower of another shape")
    parser.add_argument("--report", type=float, default=120, help="seconds of work between two reports")
    parser.add_argument("--save", type=float, default=60, help="seconds of work after which the state is kept")
    return parser.parse_args()


class Lessons:
    """What the student sees and is asked, step by step."""

    def __init__(self, args, pictures: Pictures, captions: Captions, shape: Shape):
        self.args, self.pictures, self.captions = args, pictures, captions
        self.views = Views(pictures, args.batch, shape.side)
        self.kept = shape.patches // 2
        self.classes = Classes(pictures)
        teacher = Teacher(len(self.classes.keys)).settled()
        teacher.load_state_dict(torch.load(args.data / "teacher.pt", map_location="cpu"))
        self.teacher = teacher.to(pictures.device, memory_format=torch.channels_last)
        device = pictures.device
        numbers = torch.tensor([captions.classes[key] for key in self.classes.keys], device=device)
        self.usual = captions.drawn[numbers, captions.weights[numbers].argmax(1)]
        self.imagenet = torch.tensor(captions.teacher, device=device)

    @torch.no_grad()
    def answers(self, pixels: torch.Tensor, others: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The teacher's shares of the classes of each picture's source, and of ImageNet's."""
        own, imagenet = self.teacher(pixels)
        # Classes of ImageNet that share their name with another are left out.
        return (own + others).softmax(1), imagenet.softmax(1)[:, self.imagenet]

    def loss(self, model: Student, softmax_scale: torch.Tensor, done: float):
        """Of one step, after the share `done` of the work; and its parts."""
        captions, late = self.captions, done > LATE
        rows, pixels, mixed = self.views.draw(0.2 if late else 0.35, 0.2 if late else self.args.mixed)
        classes = self.pictures.classes[rows]
        images = model.image_embeds((pixels * 2 - 1).bfloat16(), None if late else self.kept)

        phrases = captions.draw(classes)
        imagenet = captions.draw_teacher()
        ids = torch.cat([captions.say(phrases, self.pictures.is_drawing[rows]), captions.say(self.usual), captions.say(imagenet)])
        cosines = images @ model.text_embeds(ids, torch.bfloat16).T
        of_phrases, of_keys, of_imagenet = cosines.split([len(phrases), len(self.usual), len(imagenet)], 1)

        truths = Truths(captions.truth[classes][:, phrases], phrases, mixed)
        sigmoid = truths.sigmoid(model.logit_scale.exp() * of_phrases + model.logit_bias)
        scale = softmax_scale.exp()
        softmax = truths.softmax(scale * of_phrases)

        photographs = slice(self.views.photographs)
        others = self.classes.others[self.classes.of_rows[rows[photographs]]]
        of_own, of_all = self.answers(pixels[photographs], others)
        own = distillation(scale * of_keys[photographs] + others, of_own)
        imagenet = distillation(scale * of_imagenet[photographs], of_all)
        # At first the sigmoid loss does little but draw everything together, as its bias begins for far larger batches.
        loss = (0.3 + 0.7 * done) * sigmoid + softmax + 2.0 * own + 0.5 * imagenet
        return loss, torch.stack([sigmoid, softmax, own, imagenet]).detach()


@torch.no_grad()
def accuracy(model: Student, captions: Captions, validation: Validation) -> str:
    """Zero-shot accuracy on the validation pictures of each source, with the first names in the page's template."""
    device, report = captions.device, []
    for source in ("tiny-imagenet", "grocery-store", "emoji"):
        rows = validation.rows(source)
        if not rows:
            continue
        keys = sorted({validation.keys[i] for i in rows})
        place = {key: i for i, key in enumerate(keys)}
        plain = lambda name: " ".join("".join(c if c.isascii() and c.isalnum() else " " for c in name.lower()).split())
        ids = captions.input_ids([f"this is a photo of {plain(validation.names[key][0])}" for key in keys]).to(device)
        texts = model.text_embeds(ids).T
        right = torch.tensor([place[validation.keys[i]] for i in rows], device=device)
        cosines = []
        for part in torch.tensor(rows, device=device).split(500):
            pixels = validation.shown(part, model.shape.side) * 2 - 1
            cosines.append(model.image_embeds(pixels.bfloat16()) @ texts)
        cosines = torch.cat(cosines)
        better = (cosines > cosines.gather(1, right[:, None])).sum(1).float()
        # The chance that none of four other labels is better.
        others = len(keys) - 1
        five = torch.ones_like(better)
        for drawn in range(4):
            five *= (others - better - drawn).clamp(min=0) / (others - drawn)
        report.append(f"{source} {(better == 0).float().mean():.1%} of {len(keys)}, {five.mean():.1%} 5-way")
    return "; ".join(report)


# Of the vision tower's state.
POSITIONS = "embeddings.position_embedding"


def started(args, shape: Shape, captions: Captions, device: torch.device) -> Student:
    """Random numbers, or the earlier model with a text tower that says the same."""
    model = Student(shape, captions.words, captions.vectors).to(device)
    if args.init:
        earlier = read(args.init, captions.words, captions.vectors).to(device)
        state = earlier.vision_model.state_dict()
        model.vision_model.load_state_dict(state | {POSITIONS: interpolated(state[POSITIONS], shape.patches)})
        with torch.no_grad():
            model.logit_scale.copy_(earlier.logit_scale)
            model.logit_bias.copy_(earlier.logit_bias)
        if (earlier.shape.text, earlier.shape.vision) == (shape.text, shape.vision):
            model.text_model.load_state_dict(earlier.text_model.state_dict())
        else:
            retell(model, earlier, captions, Work(device), args.retell, log)
    return model


def main():
    args = arguments()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_float32_matmul_precision("high")
    args.out.mkdir(parents=True, exist_ok=True)
    captions = Captions(args.data, device)
    pictures = Pictures(args.data, captions.classes, device)
    validation = Validation(args.data, device)
    shape = Shape(args.side, args.patch, args.vision, args.text)
    lessons = Lessons(args, pictures, captions, shape)
    log(f"{len(pictures.keys)} pictures, {len(captions.phrases)} phrases, {len(captions.words)} words, on {device}")

    kept = args.out / "state.pt"
    state = torch.load(kept, map_location=device) if kept.exists() else None
    model = Student(shape, captions.words, captions.vectors).to(device) if state else started(args, shape, captions, device)
    average = copy.deepcopy(model).requires_grad_(False)
    softmax_scale = torch.nn.Parameter(torch.tensor([14.0], device=device).log())
    optimizer = Optimizer({**dict(model.named_parameters()), "softmax_scale": softmax_scale}, args.muon_rate, args.adam_rate)
    work, step = Work(device), 0
    if state:
        shapes = lambda tensors: {name: tensor.shape for name, tensor in tensors.items()}
        if shapes(state["model"]) != shapes(model.state_dict()):
            raise SystemExit(f"{kept} is about a model of another shape or other words: remove it, or name another OUT")
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        softmax_scale.data.copy_(state["softmax_scale"])
        optimizer.load(state["optimizer"])
        step = state["step"]
        work.before += state["seconds"]
    # No two runs see the same pictures.
    torch.manual_seed(step)
    log(f"step {step}, {work.seconds():.0f} s: {accuracy(average, captions, validation)}")

    def save():
        torch.save(
            {
                "model": model.state_dict(), "average": average.state_dict(), "softmax_scale": softmax_scale.data,
                "optimizer": optimizer.state(), "step": step, "seconds": work.seconds(),
            },
            kept.with_suffix(".tmp"),
        )  # fmt: skip
        kept.with_suffix(".tmp").rename(kept)

    sums, since, done = torch.zeros(4, device=device), 0, 0.0
    reported = saved = work.seconds()
    while done < 1:
        now = work.seconds()
        done = min(1.0, now / args.seconds)
        loss, parts = lessons.loss(model, softmax_scale, done)
        loss.backward()
        optimizer.step(pace(done))
        step += 1
        sums += parts
        since += 1
        with torch.no_grad():
            # Early on the average reaches no further back than half of the steps.
            share = FOLLOWING if args.init else max(FOLLOWING, min(1.0, 2 / step))
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), share)
        if now - reported > args.report or done == 1:
            sigmoid, softmax, own, imagenet = (sums / since).tolist()
            speed = since * args.batch / (work.seconds() - reported)
            log(
                f"{done:4.0%} step {step}, {speed:.0f} pictures/s: sigmoid {sigmoid:.3f}, softmax {softmax:.3f}, own {own:.3f}, "
                f"ImageNet {imagenet:.3f}; {accuracy(average, captions, validation)}"
            )
            sums.zero_()
            since, reported = 0, work.seconds()
        if now - saved > args.save or done == 1:
            save()
            saved = work.seconds()
    if args.init and args.earlier:
        earlier = started(args, shape, captions, device)
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(earlier.parameters()), args.earlier)
    write(average, args.data, args.out / "model")
    log("written")


if __name__ == "__main__":
    main()
