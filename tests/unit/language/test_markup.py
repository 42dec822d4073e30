import time

import pytest

from llmasos.language.markup import readable


def test_links_to_the_web_are_kept_and_others_are_words():
    text = "See <https://x.org/a>, [docs](https://x.org/b), [home](/help/home) and [more][ref]."

    assert readable(text) == "See <https://x.org/a>, [docs](https://x.org/b), home and more."


def test_a_block_of_code_keeps_its_lines_and_its_fences():
    text = 'Set it:\n\n```toml\n[slack]\nbot_token = "<x>"\n```\nand go on.'

    assert readable(text) == 'Set it:\n\n```toml\n[slack]\nbot_token = "<x>"\n```\n\nand go on.'


def test_code_within_a_step_stands_by_itself():
    text = "1. Run\n   this:\n\n   ```sh\n   make\n     all\n   ```\n\n1. Wait."

    assert readable(text) == "1. Run this:\n\n```sh\nmake\n  all\n```\n\n1. Wait."


def test_a_block_that_is_cut_is_closed():
    assert readable("```sh\nmake").endswith("make\n```")


def test_lists_and_tables_keep_their_lines_and_paragraphs_their_distance():
    text = "Two\nlines.\n\n- a\n  b\n- c\n\n| x | y |\n| 1 | 2 |\n\nEnd."

    assert readable(text) == "Two lines.\n- a b\n- c\n| x | y |\n| 1 | 2 |\n\nEnd."


def test_what_only_a_page_can_show_goes():
    text = (
        "> Note:\n    **Note:** an <b>icon</b> ![logo](x.png)<!-- no -->  here.\n\n[ref]: https://x"
    )

    assert readable(text) == "**Note:** an icon logo here."


def test_inline_code_is_left_as_it_is():
    assert readable("Type `<time:[a](b)>`.") == "Type `<time:[a](b)>`."


@pytest.mark.parametrize("piece", ["[", "`", "<a ", "<!--", "![a](", "> ", "```\n", "| "])
def test_hostile_markup_is_read_in_time(piece):
    began = time.process_time()
    readable(piece * 1000)

    assert time.process_time() - began < 20  # what is quadratic takes minutes
