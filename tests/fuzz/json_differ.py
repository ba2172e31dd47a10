#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the JSON gate with Python's json.

json_differ.py JSON_TELL CORPUS    DAYBOOK_FUZZ_TEXTS=n: so many texts besides the corpus; 100000

The texts are the files of the corpus and mutations of them and of the samples below, the same in
each run. What the gate takes Python must take and understand as the same value, and the reverse but
for the gate's stricter rules, which are the functions in STRICTER.
"""

import json
import os
import pathlib
import random
import subprocess
import sys

DEPTH_MAX = 32
NUMBER_MAX = 63
NODES_MAX = 100_000
BATCH = 2000
SHOWN = 10

SAMPLES = [
    b'{"a":[1,-2,3.5e-7,true,false,null],"b":{"c":"d"}}',
    b'["\\u00e9\\ud83d\\ude00\\n\\"\\\\\\/", "\xe4\xb8\xad\xf0\x9f\x98\x80", "\\u0000", "\\ud800"]',
    b"[" * 33 + b"]" * 33,
    b"[" * 32 + b"]" * 32,
    b'{"a":1,"\\u0061":2}',
    b"[0, -0, 1E400, 01, 1., .5, +1, -, 1e, NaN, -Infinity, 9007199254740993]",
    b" \t\r\n[ ] ",
    b"[" + b"9" * 63 + b"," + b"9" * 64 + b"]",
]
PIECES = [b'"', b"\\", b"\\ud83d", b"\\ude00", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90"]
PIECES += [b"\\u0000", b"\x80", b"\xef\xbb\xbf", b"\x00", b"\t", b"\x7f", b"\x1f", b"{", b"}", b"["]
PIECES += [b"]", b",", b":", b"0", b"-", b".", b"e", b"E+", b"1", b"true", b"null", b" ", b"\x0b"]
PIECES += [b"\xc2\xa0", b"/", b"NaN", b"Infinity", b"\\x", b'"a":', b"//", b"1" * 60]


class Pairs:
    """An object as the list of its members, so that twins show."""

    def __init__(self, members):
        self.members = members

    def __eq__(self, other):
        return isinstance(other, Pairs) and self.members == other.members


class Number(str):
    """A number as it is written; never equal to a text."""

    def __eq__(self, other):
        return isinstance(other, Number) and str(self) == str(other)

    __hash__ = str.__hash__


def not_json(word):
    raise ValueError(word + " is not JSON")


def parse(text):
    """Python's value of the bytes; ValueError: it takes them for no JSON."""
    return json.loads(
        text.decode("utf-8"),
        object_pairs_hook=Pairs,
        parse_int=Number,
        parse_float=Number,
        parse_constant=not_json,
    )


def walk(value, depth=1):
    """Each value within, with the depth of the containers open around it and itself."""
    inner = value.members if isinstance(value, Pairs) else value if isinstance(value, list) else []
    yield value, depth if isinstance(value, (Pairs, list)) else depth - 1
    for one in inner:
        yield from walk(one[1] if isinstance(value, Pairs) else one, depth + 1)


def texts_of(value):
    for one, _ in walk(value):
        if isinstance(one, Pairs):
            yield from (key for key, _ in one.members)
        elif isinstance(one, str) and not isinstance(one, Number):
            yield one


def has_nul(value):
    return any("\0" in text for text in texts_of(value))


def has_half_pair(value):
    return any("\ud800" <= c <= "\udfff" for text in texts_of(value) for c in text)


def is_deep(value):
    return any(depth > DEPTH_MAX for _, depth in walk(value))


def has_twins(value):
    objects = (one for one, _ in walk(value) if isinstance(one, Pairs))
    return any(len({key for key, _ in one.members}) < len(one.members) for one in objects)


def has_long_number(value):
    return any(isinstance(one, Number) and len(one) > NUMBER_MAX for one, _ in walk(value))


def is_many(value):
    return sum(1 for _ in walk(value)) > NODES_MAX


STRICTER = [has_nul, has_half_pair, is_deep, has_twins, has_long_number, is_many]


def mutate(chance, texts):
    """A text with one to four changes."""
    text = bytearray(chance.choice(texts))
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(text))
        to = min(len(text), at + chance.choice([1, 1, 2, 5, 20]))
        what = chance.randrange(5)
        if what == 0:
            text[at:at] = chance.choice(PIECES)
        elif what == 1:
            text[at:to] = chance.choice(PIECES)
        elif what == 2:
            del text[at:to]
        elif what == 3 and at < len(text):
            text[at] ^= 1 << chance.randrange(8)
        else:
            other = chance.choice(texts)
            begin = chance.randint(0, len(other))
            text[at:at] = other[begin : begin + chance.choice([1, 3, 10, 40])]
    return bytes(text[:4000])


def ask(program, texts):
    """For each text what the gate says: None, or the text as it understands it."""
    sent = b"".join(b"%d\n%s" % (len(text), text) for text in texts)
    said = subprocess.run([program], input=sent, stdout=subprocess.PIPE, check=True).stdout
    answers, at = [], 0
    for _ in texts:
        end = said.index(b"\n", at)
        line, at = said[at:end].split(b" ", 2), end + 1
        if line[0] == b"yes":
            answers.append(said[at : at + int(line[1])])
            at += int(line[1])
        else:
            answers.append(None)
    return answers


def compare(text, answer):
    """What is wrong; None: nothing."""
    try:
        value = parse(text)
    except (ValueError, RecursionError) as error:
        return None if answer is None else f"the gate takes it, Python says: {error}"
    if answer is None:
        stricter = any(rule(value) for rule in STRICTER)
        return None if stricter else "Python takes it, the gate does not"
    broken = [rule.__name__ for rule in STRICTER if rule(value)]
    if broken:
        return "the gate takes it against its rule " + ", ".join(broken)
    try:
        same = parse(answer) == value
    except ValueError:
        same = False
    return None if same else f"the gate understands {answer!r}"


def main():
    program, corpus = sys.argv[1:]
    wanted = int(os.environ.get("DAYBOOK_FUZZ_TEXTS") or 100_000)
    chance = random.Random(4711)
    files = [path.read_bytes() for path in sorted(pathlib.Path(corpus).iterdir())]
    texts, taken, faults = SAMPLES + files, 0, 0
    queue = list(texts)
    while queue or wanted > 0:
        if not queue:
            queue = [mutate(chance, texts) for _ in range(min(BATCH, wanted))]
            wanted -= len(queue)
        for text, answer in zip(queue, ask(program, queue)):
            problem = compare(text, answer)
            taken += answer is not None
            faults += problem is not None
            if problem is not None and faults <= SHOWN:
                print(f"{text!r}: {problem}")
        queue = []
    print(f"{taken} texts were taken by both")
    return 1 if faults or taken == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
