"""Tests of what the trainer computes: python3 -m unittest test_recipe.py (transformers has to be there as well)."""

import json
import math
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from batches import DRAWINGS, Mix, Views, cropped, mix, on_grounds, random_boxes
from captions import Phrasebook
from losses import Truths, distillation
from optimizer import Optimizer, orthogonalized
from retell import AnyWords, cut, retell
from said import TEMPLATES, drawn_by, wrap
from student import CONTEXT, PADDING, UNKNOWN, Shape, Student, Tower, interpolated, read, write
from teacher import Teacher
from work import pace

CPU = torch.device("cpu")


class TestStudent(unittest.TestCase):
    def test_it_computes_what_transformers_computes_of_its_files(self):
        from transformers import SiglipModel

        torch.manual_seed(0)
        vectors = torch.randn(30, 51)
        words = {f"word{i}": i for i in range(30)}
        shape = Shape(vision=Tower(64, 2, 4, 96), text=Tower(32, 1, 2, 64))
        student = Student(shape, words, vectors)
        with torch.no_grad():
            for parameter in student.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter)).copy_(parameter.half())
            # So that the product with the vectors is exact in half precision.
            student.text_model.vectors.copy_(torch.eye(30, 51))
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "tokenizer.json").write_text(json.dumps({"model": {"vocab": words}}))
            write(student, Path(folder), Path(folder, "model"))
            theirs = SiglipModel.from_pretrained(Path(folder, "model"), dtype=torch.float32, attn_implementation="eager")
            again = read(Path(folder, "model"), words, student.text_model.vectors)
        self.assertEqual(again.shape, shape)
        pixels, ids = torch.rand(3, 3, shape.side, shape.side) * 2 - 1, torch.randint(30, (4, CONTEXT))
        with torch.no_grad():
            expected = theirs.eval()(input_ids=ids, pixel_values=pixels)
            torch.testing.assert_close(student.image_embeds(pixels), expected.image_embeds, atol=1e-5, rtol=0)
            torch.testing.assert_close(student.text_embeds(ids), expected.text_embeds, atol=1e-5, rtol=0)
            # And a later run goes on from them.
            torch.testing.assert_close(again.image_embeds(pixels), expected.image_embeds, atol=1e-5, rtol=0)
            known = ids.clamp(min=2)
            torch.testing.assert_close(again.text_embeds(known), student.text_embeds(known), atol=1e-5, rtol=0)
        # A later run may show larger pictures.
        larger = torch.rand(3, 3, 75, 75) * 2 - 1
        with torch.no_grad():
            expected = theirs.get_image_features(larger, interpolate_pos_encoding=True).pooler_output
            again.vision_model.embeddings.position_embedding = torch.nn.Parameter(
                interpolated(again.vision_model.embeddings.position_embedding, 15 * 15)
            )
            torch.testing.assert_close(again.image_embeds(larger), F.normalize(expected, dim=-1), atol=1e-5, rtol=0)

    def test_a_picture_with_all_of_its_patches_in_another_order_is_the_same(self):
        torch.manual_seed(6)
        shape = Shape(vision=Tower(32, 1, 2, 64))
        student = Student(shape, {}, torch.zeros(2, 51))
        pixels = torch.rand(2, 3, shape.side, shape.side) * 2 - 1
        with torch.no_grad():
            torch.testing.assert_close(student.image_embeds(pixels, shape.patches), student.image_embeds(pixels), atol=1e-5, rtol=0)
            self.assertFalse(torch.allclose(student.image_embeds(pixels, 32), student.image_embeds(pixels), atol=1e-3))


class FewPictures:
    """What `Views` wants of the pictures: four of two sources, photographs first."""

    def __init__(self):
        self.pixels = torch.randint(256, (4, 4, 64, 64), dtype=torch.uint8)
        self.rows = {"cifar10": torch.tensor([0, 1]), DRAWINGS: torch.tensor([2, 3])}
        self.photographs = self.rows["cifar10"]

    def counts(self, size: int, shares: dict[str, float]) -> dict[str, int]:
        return {"cifar10": 6, DRAWINGS: size - 6}

    def draw(self, counts: dict[str, int]) -> torch.Tensor:
        return torch.cat([self.rows[source][torch.arange(count) % 2] for source, count in counts.items()])


class TestViews(unittest.TestCase):
    def test_a_batch_has_photographs_first_and_the_students_side(self):
        torch.manual_seed(8)
        views = Views(FewPictures(), 10, 60)
        rows, pixels, mixed = views.draw(0.3, 1.0)
        self.assertEqual(views.photographs, 6)
        self.assertEqual(rows.tolist(), [0, 1, 0, 1, 0, 1, 2, 3, 2, 3])
        self.assertEqual(pixels.shape, (10, 3, 60, 60))
        self.assertTrue(((pixels >= 0) & (pixels <= 1)).all())
        # Drawings are never mixed.
        self.assertTrue((mixed.share[6:] == 1).all())
        self.assertTrue((mixed.share[:6] < 1).any())


class TestTeacher(unittest.TestCase):
    def test_settled_it_says_what_it_said(self):
        torch.manual_seed(9)
        teacher = Teacher(7).eval()
        settled = teacher.settled()
        pictures = torch.rand(3, 3, 60, 60)
        with torch.no_grad():
            for expected, said in zip(teacher(pictures), settled(pictures)):
                self.assertEqual(said.dtype, torch.float32)
                self.assertGreater(F.cosine_similarity(said, expected).min(), 0.995)


class TestPace(unittest.TestCase):
    def test_rates_rise_stay_and_fall_to_nothing(self):
        for done, expected in ((0, 0), (0.025, 0.5), (0.05, 1), (0.2, 1), (0.6, 0.5), (1, 0)):
            self.assertAlmostEqual(pace(done), expected)


class Saying:
    """What `retell` wants of captions: a vocabulary, and sentences of some of its words."""

    def __init__(self, words: int):
        templates = {word for template in TEMPLATES for word in template.split() if word != "{}"}
        self.words = {word: i for i, word in enumerate(["<pad>", "<unk>", *sorted(templates)])}
        self.words |= {f"word{i}": i for i in range(len(self.words), words)}
        self.device = CPU
        self.sentences = torch.randint(2, words, (40, 3, CONTEXT))
        self.sentences[:, :, 5:] = PADDING

    def input_ids(self, sentences: list[str]) -> torch.Tensor:
        rows = [[self.words.get(word, UNKNOWN) for word in sentence.split(" ")] for sentence in sentences]
        return torch.tensor([row + [PADDING] * (CONTEXT - len(row)) for row in rows])


class TestRetelling(unittest.TestCase):
    def test_any_words_stand_behind_a_template_that_they_can_end(self):
        torch.manual_seed(7)
        saying = Saying(60)
        ids = AnyWords(saying).draw(500)
        lengths = (ids != PADDING).sum(1)
        self.assertTrue(bool(((ids == PADDING).int().diff(dim=1) >= 0).all()), "padding stands at the end alone")
        self.assertFalse(bool((ids == UNKNOWN).any()))
        # "this is a photo of a" with two words more.
        self.assertEqual((int(lengths.min()), int(lengths.max())), (1, 8))
        self.assertEqual(set(ids[lengths == 1][:, 0].tolist()) - set(range(2, 60)), set())

    def test_a_tower_is_cut_out_of_a_wider_one(self):
        torch.manual_seed(8)
        saying, vectors = Saying(60), torch.randn(60, 51)
        of_width = lambda width: Student(Shape(vision=Tower(32, 1, 2, 64), text=Tower(width, 2, 2, 96)), saying.words, vectors)
        earlier = of_width(64)
        with torch.no_grad():
            for parameter in earlier.text_model.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        ids = AnyWords(saying).draw(600)
        apart = lambda embeds: F.normalize(embeds - earlier.text_embeds(ids[400:]).mean(0), dim=1)

        def cosine(model: Student) -> float:
            """Of what tells sentences apart, for sentences by which nothing was cut."""
            with torch.no_grad():
                found, wanted = (student.text_embeds(ids[400:]) for student in (model, earlier))
                return float((apart(found) * apart(wanted)).sum(1).mean())

        # All of it, with room for all.
        same = of_width(64)
        cut(same, earlier, ids[:400])
        self.assertGreater(cosine(same), 0.9999)
        narrow = of_width(32)
        before = cosine(narrow)
        cut(narrow, earlier, ids[:400])
        after = cosine(narrow)
        self.assertLess(before, 0.2)
        self.assertGreater(after, 0.6)

        class Steps:
            """Work of a second a look."""

            done = 0

            def seconds(self) -> int:
                self.done += 1
                return self.done

        retell(narrow, earlier, saying, Steps(), 60, lambda *_: None)
        self.assertGreater(cosine(narrow), after + 0.02)


class TestLosses(unittest.TestCase):
    """Three pictures and four phrases, of which the last is the first one again. The third picture has a quarter of the
    second one in it; of one pair nothing is known."""

    def setUp(self):
        torch.manual_seed(1)
        self.logits = torch.randn(3, 4) * 2
        self.truth = torch.tensor([[1, 0, 0, 1], [0, 1, -1, 0], [0, 0, 1, 0]], dtype=torch.int8)
        self.mixed = Mix(torch.tensor([0, 1, 1]), torch.tensor([[1.0], [1.0], [0.75]]))
        self.phrases = torch.tensor([7, 8, 9, 7])
        self.share = [[1, 0, 0, 1], [0, 1, None, 0], [0, 0.25, None, 0]]
        self.once = [0.5, 1, 1, 0.5]
        self.truths = Truths(self.truth, self.phrases, self.mixed)

    def test_the_sigmoid_loss_is_the_papers_for_what_is_known(self):
        expected = 0.0
        for row, shares in zip(self.logits.tolist(), self.share):
            for logit, share, once in zip(row, shares, self.once):
                if share is not None:
                    yes = 1 / (1 + math.exp(-logit))
                    expected -= once * (share * math.log(yes) + (1 - share) * math.log(1 - yes))
        self.assertAlmostEqual(float(self.truths.sigmoid(self.logits)), expected / 3, places=5)

    def test_the_softmax_loss_asks_for_any_true_pair_of_a_row_and_of_a_column(self):
        weights = [[math.exp(x) * once for x, once in zip(row, self.once)] for row in self.logits.tolist()]
        # A true pair counts though another picture in the mix makes it uncertain.
        known = [(0, 1, 2, 3), (0, 1, 3), (0, 1, 2, 3)]
        pulls = lambda i, true: -math.log(sum(weights[i][j] for j in true) / sum(weights[i][j] for j in known[i]))
        rows = (pulls(0, (0, 3)) + pulls(1, (1,)) + 0.75 * pulls(2, (2,)) + 0.25 * pulls(2, (1,))) / 3
        columns = 0.0
        for j, hits in ((0, {0: 1}), (1, {1: 1, 2: 0.25}), (2, {2: 0.75}), (3, {0: 1})):
            everyone = sum(weights[i][j] for i in range(3) if j in known[i])
            columns -= self.once[j] * math.log(sum(share * weights[i][j] for i, share in hits.items()) / everyone)
        self.assertAlmostEqual(float(self.truths.softmax(self.logits)), rows + columns / 3, places=5)

    def test_distillation_is_none_where_student_and_teacher_agree(self):
        shares = self.logits.softmax(1)
        self.assertAlmostEqual(float(distillation(self.logits + 3, shares)), 0, places=5)
        self.assertGreater(float(distillation(-self.logits, shares)), 0.1)


class TestPictures(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(2)
        self.pixels = torch.randint(256, (5, 4, 64, 64), dtype=torch.uint8)

    def test_a_crop_of_all_is_the_picture_and_may_be_mirrored(self):
        boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 5)
        mirrored = torch.tensor([True, False, True, False, False])
        found = cropped(self.pixels, boxes, 64, mirrored)
        expected = self.pixels[:, :3].float() / 255
        expected[mirrored] = expected[mirrored].flip(3)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)

    def test_boxes_stay_within_the_picture(self):
        x, y, width, height = random_boxes(1000, CPU).unbind(1)
        self.assertTrue(bool(((x.abs() + width <= 1 + 1e-6) & (y.abs() + height <= 1 + 1e-6)).all()))
        self.assertGreater(float((width * height).min()), 0.25)

    def test_a_transparent_drawing_shows_its_ground_alone(self):
        drawings = torch.randint(256, (200, 4, 64, 64), dtype=torch.uint8)
        drawings[:, 3] = 0
        # Of one colour where the photographs are, or a part of one.
        photographs = self.pixels[torch.arange(200) % 5]
        one_colour = lambda found: bool((found.amax((2, 3)) - found.amin((2, 3)) < 1e-6).all())
        self.assertFalse(one_colour(on_grounds(drawings, photographs, 64)))
        self.assertTrue(one_colour(on_grounds(drawings, torch.full_like(photographs, 90), 64)))

    def test_a_mix_has_the_share_of_each_picture_that_it_says(self):
        pictures = torch.arange(8.0)[:, None, None, None].expand(-1, 3, 64, 64)
        mixture, mixed = mix(pictures, {"cifar10": 5, "emoji": 3}, 1.0)
        expected = mixed.share[:, 0] * torch.arange(8.0) + (1 - mixed.share[:, 0]) * mixed.other
        torch.testing.assert_close(mixture.mean((1, 2, 3)), expected, atol=1e-4, rtol=0)
        self.assertTrue(bool((mixed.share[5:] == 1).all() and (mixed.other[:5] < 5).all()))


class TestPhrasebook(unittest.TestCase):
    def test_names_with_words_that_glove_lacks_are_phrases_too(self):
        chance = np.random.default_rng(7)
        words = ("soy", "milk", "vanilla", "satsuma", "dog")
        glove = {word: chance.normal(size=50) for word in words}
        book = Phrasebook(glove)
        brand = book.add(["Alpro-Vanilla soy milk"], ["soy milk"], [], [])
        book.add(["Oatly milk"], [], [], [])
        book.add(["satsumas"], [], [], [])
        self.assertEqual([*book.coined], ["alpro", "oatly", "satsumas"])
        self.assertIn("alpro vanilla soy milk", book.phrases)
        # It is what is said most often.
        self.assertEqual(max(brand.weights, key=brand.weights.get), book.phrases["alpro vanilla soy milk"])
        np.testing.assert_array_equal(book.vector("satsumas"), glove["satsuma"])
        # Near the words beside it, and like no other word.
        near = np.mean([glove["soy"], glove["milk"], glove["vanilla"]], 0)
        away = lambda vector: np.linalg.norm(book.vector("alpro") - vector)
        self.assertLess(away(near), away(glove["dog"]))
        self.assertGreater(away(book.vector("oatly")), 1)
        # Words beside which nothing is known, and words with other letters, stay unknown.
        for name in ("gerenuk", "müsli milk"):
            book.add([name], [], [], [])
        self.assertEqual(len(book.coined), 3)


class TestChance(unittest.TestCase):
    def test_places_are_drawn_by_their_weights(self):
        torch.manual_seed(3)
        drawn = drawn_by(torch.tensor([0.0, 1.0, 3.0]).expand(20000, 3))
        self.assertAlmostEqual(float((drawn == 2).float().mean()), 0.75, delta=0.02)
        self.assertFalse(bool((drawn == 0).any()))

    def test_a_vowel_takes_its_article(self):
        self.assertEqual(wrap("a photo of a {}", "apple"), "a photo of an apple")
        self.assertEqual(wrap("a {}", "apple"), "an apple")
        self.assertEqual(wrap("a photo of {}", "apple"), "a photo of apple")


class TestOptimizer(unittest.TestCase):
    def test_it_goes_on_from_a_state_as_if_it_had_not_stopped(self):
        def parameters():
            torch.manual_seed(5)
            return {name: torch.nn.Parameter(torch.randn(shape)) for name, shape in {"weight": (6, 4), "bias": (4,), "scale": (1,)}.items()}

        def move(named: dict, optimizer: Optimizer, steps: range):
            for step in steps:
                torch.manual_seed(step)
                for parameter in named.values():
                    parameter.grad = torch.randn_like(parameter)
                optimizer.step(0.5)

        whole, stopped = parameters(), parameters()
        move(whole, Optimizer(whole, 0.01, 0.01), range(6))
        first = Optimizer(stopped, 0.01, 0.01)
        move(stopped, first, range(3))
        again = Optimizer(stopped, 0.01, 0.01)
        again.load(first.state())
        move(stopped, again, range(3, 6))
        for name in whole:
            self.assertFalse(torch.equal(whole[name], parameters()[name]))
            torch.testing.assert_close(whole[name], stopped[name], atol=0, rtol=0)

    def test_singular_values_come_near_one(self):
        torch.manual_seed(4)
        for shape in ((2, 8, 12), (2, 12, 8)):
            values = torch.linalg.svdvals(orthogonalized(torch.randn(*shape)))
            self.assertTrue(bool(((values > 0.6) & (values < 1.3)).all()), values)


if __name__ == "__main__":
    unittest.main()
