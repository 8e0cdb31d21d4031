"""The texts whose token ids are recorded: what people type, and what breaks tokenizers."""
import random

LABELS = """a cat;two dogs;a sports car;a pizza;a sailing boat;a red panda;a coffee cup;a rocket;an insect;a backpack;a barn
a snail;golden retriever;grand piano;traffic light;hummingbird;Eiffel Tower;New York City;Mona Lisa;a child's drawing
a black-and-white photo;a close-up of an eye;a screenshot of a spreadsheet;nothing;person;people;cats;remote controls
a x-ray of a chest;satellite image of a harbour;a man riding a bicycle in the rain;the number seven;handwritten digit 7
a receipt from a supermarket;a photo of the inside of a refrigerator;tortoiseshell;antidisestablishmentarianism
bokeh;3D render;8k;jpeg artefacts;lorem ipsum dolor sit amet;vegan lasagne;Brontosaurus;qwertyuiop;zzz""".replace("\n", ";").split(";")

CASES = ["A CAT", "A cAt", "iPhone", "NASA", "McDonald's", "İSTANBUL", "ISTANBUL", "ıstanbul", "i̇stanbul", "Straße",
         "STRASSE", "STRAẞE", "ΣΟΦΟΣ", "Σ", "ΑΣ Σ ΑΣΑ", "ǅungla", "ǄUNGLA", "Ωmega Å Kelvin K", "ＡＢＣ", "Ⅷ ⅷ", "Ⓐ", "ЁЛКА", "ԱԲԳ", "ႠႡ"]

ACCENTS = ["café", "cafe\u0301", "déjà vu", "Zürich", "naïve façade", "Ångström", "A\u030angstro\u0308m", "smörgåsbord",
           "ñandú", "n\u0303andu\u0301", "Việt Nam phở", "ĄĆĘŁŃÓŚŹŻ", "ǖ", "u\u0308\u0304", "e\u0301\u0302\u0303\u0304\u0305",
           "\u0301", "a \u0301 b", "Z\u0351\u036b\u0343\u036a\u0302\u036ba\u0324\u0330l\u035bg\u0349\u0329o\u0321"]

LIGATURES = ["ﬁre ﬂower oﬃce ﬀ ﬆ", "Œuvre æther", "ĳsvogel", "ŉ", "½ cup ¼ ⅓", "x² y³ H₂O", "№ 5", "™ © ®", "㎏ ㎝ ㏄", "℃ ℉ Å", "µ μ", "ﷺ",
             "①②③", "ｶﾀｶﾅ ﾊﾟﾋﾟ", "Ｆｕｌｌｗｉｄｔｈ　ｔｅｘｔ！", "１２３４５", "ａ／ｂ", "ｃａｔ＜ｄｏｇ＞"]

SCRIPTS = ["猫", "一只猫的照片", "犬の写真", "カタカナとひらがな", "고양이 사진", "\u1100\u1161\u11a8", "角色🦊✨", "红色盔甲的角色", "人物（正面）、狗。", "𠮷野家 𝒞𝒶𝓉 𝔠𝔞𝔱",
           "قطة جميلة", "صورة لكلبٍ", "كـــلب", "חתול", "כֶּלֶב", "\u202bחתול\u202c cat", "abc \u200fשלום\u200e def", "बिल्ली की तस्वीर", "แมว", "แมวน้ำตัวใหญ่", "кошка",
           "Собака и кот", "γάτα", "կատու", "კატა", "ድመት", "ᏣᎳᎩ", "བོད་ཡིག", "ខ្មែរ", "мяч/ball"]

EMOJI = ["🐱", "🐱🐶", "a 🐱 cat", "👍🏽", "👨‍👩‍👧‍👦", "👩🏾‍🚀 in space", "🏳️‍🌈", "🇫🇷🇩🇪", "❤️", "❤", "☺︎", "1️⃣", "🫠", "😀" * 40, "🧑🏻‍❤️‍💋‍🧑🏿", "\U0010ffff",
         "\U000e0041\U000e007f"]

SPACES = ["", " ", "   ", "\t", "\n", "\r\n", " a", "a ", "  a  cat  ", "a\tcat", "a\ncat", "a\r\ncat\r\n", "a\u00a0cat", "a\u3000cat", "a\u2003cat",
          "a\u2028cat", "a\u2029cat", "a\u0085cat", "a\u1680cat", "a\u180ecat", "a\u200bcat", "\u200b", "a\u200ccat", "a\u200dcat", "a\u2060cat",
          "\ufeffcat", "a\ufeffcat", "soft\u00adhyphen", "a\u000bcat\u000c", "a\u202fcat", "\u00a0", "\u3000cat\u3000", "▁cat", "a▁cat", "▁", "▁▁ cat"]

CONTROLS = ["\0", "a\0cat", "\x01\x02\x03", "a\x07b", "\x1b[31mred\x1b[0m", "\x7f", "\x80\x9f", "a\x1ccat\x1d\x1e\x1f", "\ufffd", "\ufffe\uffff", "\ue000",
            "a\u2066cat\u2069", "\ufff9a\ufffab\ufffb"]

PUNCTUATION = ["!", "...", "!!!???", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "/", "<", ">", "/ < >", "24/7 <b>rock & roll</b>", "and/or", "a<b", "a > b", "-", "--",
               "–—", "“quoted” ‘single’", "«guillemets»", "¡hola! ¿qué?", "…", "a.b,c;d:e", "don't", "don’t", "rock-n-roll", "snake_case", "e-mail: a@b.com",
               "https://example.com/a?b=c&d=e#f", "C:\\path\\file.txt", "$1 {} \\n", "$& $$ $` $'", "{}", "{{}}", "{0}", "%s %d", "\\0 \\1", "${label}",
               "a, b, c", "(a) [b] {c}", "50% off", "$9.99", "€5", "£3", "¥100", "#1", "+1", "a+b=c", "~", "`code`", "。", "、", "・", "！", "؟", "†‡", "•", "°", "¶§"]

NUMBERS = ["0", "7", "42", "007", "1234567890", "3.14159", "1,000,000", "1e-5", "-273.15", "0x1F600", "12:30", "2024-02-29", "+49 30 123456", "a1b2c3",
           "2 cats", "1st 2nd 3rd", "٣٤٥", "१२३", "9" * 100]

SPECIAL = ["</s>", "<pad>", "<unk>", "a </s> b", "a</s>b", "</s>a", "a  </s>  b", "</S>", "< /s>", "<PAD>", "a <pad> b", "a<pad>b", "x<unk>y", "x <unk> y",
           "<unk><unk>", "</s></s></s>", "<s>", "<bos>", "<mask>", "<0x41>", "<0x00>", "<extra_id_0>", "cat</s", "</s> cat </s>", "\u3000</s>\u00a0x"]

LONG = ["word " * 62, "word " * 63, "word " * 64, "word " * 65, "word " * 200, "a" * 500, "supercalifragilisticexpialidocious" * 5, "猫" * 300, "ab" * 1000,
        "!" * 10000, " " * 10000, "a" * 10000, "cat dog " * 1250, "é" * 10000, "🐱" * 10000, "x." * 5000, "!" * 9997 + "cat", "</s>" * 2500, "\u0301" * 10000,
        "donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"]


def noise(count, seed):
    """Texts of characters drawn from anywhere, spaces and ASCII often."""
    draw = random.Random(seed)
    ranges = [(0x20, 0x7F), (0x20, 0x7F), (0xA0, 0x250), (0x300, 0x370), (0x370, 0x600), (0x600, 0x700), (0x900, 0xE80), (0x1100, 0x1200), (0x1E00, 0x2070),
              (0x2070, 0x2C00), (0x3000, 0x3400), (0x4E00, 0xA000), (0xAC00, 0xD7B0), (0xF900, 0xFFF0), (0x1D400, 0x1D800), (0x1F300, 0x1FB00)]
    return ["".join(chr(draw.randrange(*draw.choice(ranges))) for _ in range(draw.randrange(1, 40))) for _ in range(count)]


ALL = [*LABELS, *[f"This is a photo of {label}." for label in LABELS[:12]], *CASES, *ACCENTS, *LIGATURES, *SCRIPTS, *EMOJI, *SPACES, *CONTROLS, *PUNCTUATION,
       *NUMBERS, *SPECIAL, *LONG, *noise(60, seed=1)]

# For tokenizers that know ASCII words only, and whose `tokenizer.json` has no special tokens: transformers would add those of
# tokenizer_config.json, so that a text that spells one out means something else to it.
WORDS = [*LABELS[::2], *CASES[:9], *ACCENTS[:4], *LIGATURES[:3], *SCRIPTS[:2], *EMOJI[:4], *SPACES[:14], *CONTROLS[:3], *PUNCTUATION[:12], "$1 {} \\n",
         *NUMBERS[:6], "</s>", *LONG[3:7], *LONG[9:14]]
