"""Guards: who gives orders here, and who does not.

A message that tries to turn the agent against its instructions is refused (`broken_rule`); what
comes from documents, webhooks, files and tools is data: marked so that it cannot pass for anything
else (`quoted`), orders in it left out (`without_orders`); and instructions are not recited
(`recites`). By patterns, in English and Chinese, without a model: so that it costs nothing and
can be explained. Knows only text. Start reading at `broken_rule`.
"""

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Iterable, Sequence

from llmasos.language.detection import language_of
from llmasos.language.words import sentences

NEAR = 600
"""Characters within which signs must stand to count together: a long text has many by chance."""
REFUSED = 1.0
"""From this score on a message is taken for an attack."""
RECITED_WORDS = 8
"""So many words of the instructions in a row are a recital."""
LEFT_OUT = "[left out: an order to the assistant]"
_KEY = secrets.token_bytes(16)
_MARK_LENGTH = 6

_TELLS = (
    r"instructions?|prompts?|rules|directions|commands|guidelines|directives|programming"
    r"|training|restrictions|policies"
)
_SIGNS: tuple[tuple[float, str], ...] = (
    # Instructions are to be dropped
    (
        1.0,
        r"\b(?:ignore|disregard|forget|override|bypass|drop|discard)\b(?:\W+\w+){0,3}?\W+"
        r"(?:previous|prior|above|earlier|preceding|initial|original|former|existing|system|your)"
        rf"(?:\W+\w+)?\W+(?:{_TELLS})\b",
    ),
    (
        1.0,
        r"\b(?:ignore|disregard|forget)\b(?:\W+\w+){0,3}?\W+"
        rf"(?:{_TELLS}|everything|anything)\b(?:\W+\w+){{0,2}}?\W+"
        r"(?:you\W+(?:got|were|have|had|received|learned|know)|before|above|so far)\b",
    ),
    (1.0, r"\b(?:new|updated|real|actual) (?:system )?instructions?\s*(?:[:：]|are\b|follow)"),
    (0.6, r"\bsystem\s*(?:message|announce\S*|override|notice|alert|update)\b\s*(?:[:：]|begins)"),
    (
        1.0,
        r"忽略(?:以上|之前|上面|先前|前面|此前|你|所有|一切).{0,8}(?:指令|提示|规则|要求|设定|指示)",
    ),
    (1.0, r"(?:之前|以上|原来|所有).{0,4}(?:规则|指令|限制|设定).{0,4}(?:作废|失效|无效|取消)"),
    (0.6, r"系统(?:消息|通知|指令)\s*[:：]"),
    (0.5, r"优先级最高|最高优先级"),
    # Instructions are to be told
    (0.7, r"\bsystem[\s_]*prompts?\b|\bsystemprompt\b|系统提示词?"),
    (
        0.6,
        r"\b(?:show|reveal|print|output|repeat|display|tell|give|leak|dump|translate|encode|recite"
        r"|summari[sz]e|log|see|share|paste|send|write|provide|expose|complete|continue)\b",
    ),
    (
        0.6,
        r"\b(?:your|the|these|those|system|hidden|secret)\W+"
        r"(?:(?:initial|starting|original|first|exact|full|hidden|secret|previous|internal|system)"
        r"\W+)+(?:instructions?|prompts?|guidelines|directives|configuration)\b"
        r"|\byour\W+(?:instructions|prompt|guidelines|directives|system prompt)\b",
    ),
    (0.6, r"\binstructions?\b(?:\W+\w+){0,2}?\W+you\W+(?:were|have been|got|are)\W+(?:given|told)"),
    (
        1.0,
        r"\b(?:repeat|print|output|recite|copy)\b(?:\W+\w+){0,3}?\W+"
        r"(?:the above|everything above|(?:text|words|lines|content) above|(?:entire|whole|full)"
        r" conversation)\b(?!\W+(?:my|our|the|your)\b)",
    ),
    (1.0, r"\bI (?:was|have been|am) (?:instructed|programmed|prompted) (?:not )?to\b"),
    (0.6, r"\bsystem prompts? (?:is|says|reads|was)\b"),
    (
        0.6,
        r"(?:输出|显示|重复|告诉|打印|说出|展示|泄露).{0,24}(?:提示词|指令|密钥|配置|机密|工具列表)",
    ),
    (0.6, r"隐藏的?.{0,6}(?:配置|密钥|指令|提示)|(?:机密|秘密)内容"),
    (0.6, r"重复.{0,24}直到|工具列表.{0,16}(?:打印|输出|列出)"),
    # Another self
    (1.0, r"\bdo anything now\b|\bDAN mode\b|\b(?:as|like|named|are|called) \W?DAN\b|\[DAN\]"),
    (0.6, r"\bdeveloper mode\b|\bgod mode\b|\bjailbroken\b|开发者模式|越狱模式"),
    (
        0.6,
        r"\b(?:act|acting|behave|respond|answer|pretend|role-?play|simulate|simulator|immerse"
        r"|speak|talk)\b(?:\W+\w+){0,8}?\W+(?:A\.?[Il]\b|(?:language )?model\b|\w*GPT\b|persona\b"
        r"|character\b|demon\b|personalit\w+|girlfriend\b|hacker\b)",
    ),
    (
        0.6,
        r"\b(?:no|not|any|without|free (?:of|from)|ignores?|disregards?|bypass|break|broken|cares? "
        r"about|beyond|regardless)\b(?:\W+\w+){0,6}?\W+(?:rules|restrictions|limitations?|limits"
        r"|confines|guidelines|ethics|ethical\w*|morals?|moral\w+|filters?|polic\w+|censorship"
        r"|norms|legality)\b",
    ),
    (0.4, r"\bfrom now on\b|从现在(?:开始|起)"),
    (0.5, r"\b(?:stays?|remain) in character\b"),
    (0.5, r"\bnever (?:refuses?|declines?)\b|\bwon'?t refuse\b|不要拒绝"),
    (0.6, r"\bunfiltered\b|\buncensored\b|\bamoral\b|\bunethical\b|\bimmoral\b"),
    (0.4, r"\bchat\s?g(?:pt|tp)\b|\bopen\s?ai\b|如果你是\s*AI|AI\s*助手"),
    (0.3, r"\byou (?:are|'re)(?: now)? (?:going|about) to\b|\byou will (?:now )?(?:act|pretend)\b"),
    (
        0.4,
        r"\b(?:two|2|three|3)\b(?:\W+\w+){0,2}?\W+(?:ways|personalities|personas|persons|modes)\b",
    ),
    (0.4, r"\bhypothetical\b|\byour name (?:is )?now\b|\bobey\w*\b"),
    (0.6, r"没有任何(?:限制|约束)|不受.{0,6}(?:限制|约束)"),
    (0.5, r"停止.{0,8}角色|你现在是|只(?:能)?回复"),
    # Deeds that nobody may order here
    (0.6, r"\bcall (?:the )?\w+ (?:tool|function)\b|(?:调用|执行).{0,24}(?:工具|函数)"),
    (0.6, r"\b(?:skip|bypass|without) (?:the )?(?:authentication|verification|identity check)"),
    (0.6, r"跳过.{0,6}(?:验证|审核|校验)|绕过.{0,6}(?:验证|审核|限制)"),
    (0.4, r"(?:直接|请|必须|立即)照做|授权你|必须立即"),
    (
        0.6,
        r"\b(?:all|every|each)\b(?:\W+\w+){0,2}?\W+(?:customers?|users?|clients?|employees?)\W+"
        r"(?:\w+\W+)?(?:e-?mails?|passwords?|addresses|phones?|data|records)\b",
    ),
    (0.6, r"所有(?:客户|用户|员工)的?.{0,4}(?:邮箱|密码|电话|资料|数据)"),
)
_WEIGHED = tuple((weight, re.compile(sign, re.IGNORECASE)) for weight, sign in _SIGNS)
_ORDER = re.compile(
    r"^\W*(?:please |also |now |then |always |and |must )*(?:add|include|modify|augment|enhance"
    r"|integrate|replace|provide|render|use|remove|group|combine|scramble|jumble|rearrange|convert"
    r"|substitute|misspell|introduce|anagram|insert|append|mention|end|begin|start|write|say|put"
    r"|change|rewrite|encode|translate|finish|close|sign|format|weave|work|embed|promote|suggest)\b"
    r".{0,160}\b(?:your|the assistant'?s?) (?:\w+ )?(?:answers?|responses?|repl(?:y|ies)|output"
    r"|message'?s?)\b"
    r"|^\W*(?:in|with|within|at the end of) your (?:\w+ )?(?:answer|response|reply|output)\b"
    r"|\b(?:AI|the assistant|language models?|chatbots?)\W+(?:\w+ )?(?:must|should|shall|has to"
    r"|needs? to)\b"
    r"|(?:在|把|将).{0,6}(?:回答|回复|答复)(?:的)?(?:中|里|最后|开头|末尾|前)"
    r"|(?:AI|助手|机器人).{0,6}(?:必须|应当|应该|需要)|告诉用户",
    re.IGNORECASE,
)
_INVISIBLE = re.compile(
    "[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\U000e0000-\U000e007f]"
)


def broken_rule(
    text: str, *, injection: bool = True, max_length: int = 0, languages: Sequence[str] = ()
) -> str | None:
    """The rule that a message breaks: `length`, `language` or `injection`; None: it breaks none.

    injection: whether attacks are looked for. max_length: in characters, 0 for any. languages:
    those that are answered; empty for any.
    """
    if max_length and len(text) > max_length:
        return "length"
    if languages and (found := language_of(text)) and found not in languages:
        return "language"
    return "injection" if injection and injection_score(text) >= REFUSED else None


def injection_score(text: str) -> float:
    """How much a text reads like an attack on an agent's instructions; `REFUSED` is an attack."""
    plain = _plain(text)
    starts = range(0, max(len(plain) - NEAR // 2, 1), NEAR // 2)
    return max(_score(plain[start : start + NEAR]) for start in starts)


def _score(part: str) -> float:
    return sum(weight for weight, sign in _WEIGHED if sign.search(part))


def quoted(text: str, name: str) -> str:
    """A text from elsewhere, orders left out, between marks that it cannot forge.

    The mark depends on the text and on a key that nobody outside this process knows; the same text
    has the same mark, so that prompts keep their beginning. name: what it is, in a word.
    """
    shown = without_orders(text)
    mark = hashlib.blake2s(text.encode(errors="replace"), key=_KEY).hexdigest()[:_MARK_LENGTH]
    label = re.sub(r"[^\w.-]+", "_", name)[:60]
    return f"<{label} {mark}>\n{shown}\n</{label} {mark}>"


def without_orders(text: str) -> str:
    """A text from elsewhere without its sentences that give orders to an assistant."""
    shown = _INVISIBLE.sub("", text)
    for sentence in reversed(sentences(shown)):
        plain = _plain(sentence.text)
        if _ORDER.search(plain) or injection_score(plain) >= REFUSED:
            shown = f"{shown[: sentence.start]}{LEFT_OUT}{shown[sentence.end :]}"
    return shown


def recites(text: str, instructions: str) -> bool:
    """Whether a text says a longer part of an agent's instructions."""
    kept = _runs(instructions)
    return bool(kept) and not kept.isdisjoint(_runs(text))


def _runs(text: str) -> set[tuple[str, ...]]:
    """All runs of so many words in a text; a Chinese character is a word."""
    words = re.findall(r"[\u3400-\u9fff]|[^\W_]+", text.lower())
    return set(zip(*_shifted(words), strict=False))


def _shifted(words: Sequence[str]) -> Iterable[Sequence[str]]:
    return (words[start:] for start in range(RECITED_WORDS))


def _plain(text: str) -> str:
    """A text without what hides words: invisible characters, look-alikes, odd spaces."""
    return " ".join(unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).split())
