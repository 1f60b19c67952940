"""Questions, segments and rules that the staff of Harbour & Pine set up."""

from __future__ import annotations

from collections.abc import Iterator

from regulars.profiles.attributes import AGE_BANDS
from regulars.profiles.derive import country_name
from regulars.questions.models import Question, QuestionSettings
from regulars.questions.question_type import AnswerOption
from regulars.questions.save import QuestionDraft, save_question
from regulars.questions.settings import save_settings
from regulars.rules.models import Rule
from regulars.rules.templates import enable_template
from regulars.segments.models import Segment
from regulars.segments.save import save_segment

from .countries import COUNTRIES
from .customers import CATEGORIES

JACKETS = "jackets"


def _options(labels: dict[str, str]) -> tuple[AnswerOption, ...]:
    return tuple(AnswerOption(key, label) for key, label in labels.items())


# In every language of the pages, so that the first sign-in does not change its language. (text, why, options as CATEGORIES)
LOOKING_FOR = {
    "de": ("Was suchen Sie?", "Damit wir Ihnen das zuerst zeigen.", "Jacken Hemden Stiefel Strickwaren Taschen"),
    "es": ("¿Qué busca?", "Para mostrárselo primero.", "Chaquetas Camisas Botas Punto Bolsos"),
    "fr": ("Que cherchez-vous ?", "Pour vous le montrer en premier.", "Vestes Chemises Bottes Maille Sacs"),
    "pt-BR": ("O que você procura?", "Para mostrarmos isso primeiro.", "Jaquetas Camisas Botas Tricô Bolsas"),
    "ja": ("何をお探しですか?", "最初にお見せするためです。", "ジャケット シャツ ブーツ ニット バッグ"),
    "ar": ("عمّ تبحث؟", "لنعرضه عليك أولًا.", "سترات قمصان أحذية تريكو حقائب"),
}

# The keys are those that the invented customers answer (customers.ANSWER_SHARES).
QUESTIONS = (
    QuestionDraft(
        key="looking_for",
        text="What are you looking for?",
        why="So that we show you that first.",
        type="single_choice",
        attribute="looking_for",
        purpose="personalise",
        options=_options({category: category.capitalize() for category in CATEGORIES}),
        translations={
            locale: {"text": text, "why": why, "options": dict(zip(CATEGORIES, options.split(), strict=True))}
            for locale, (text, why, options) in LOOKING_FOR.items()
        },
        weight=3.0,
        enabled=True,
    ),
    QuestionDraft(
        key="buys_for",
        text="Who do you mostly shop for?",
        why="So that sizes and gifts fit the right person.",
        type="single_choice",
        attribute="buys_for",
        purpose="personalise",
        options=_options({"myself": "Myself", "partner": "My partner", "children": "My children"}),
        weight=2.0,
        enabled=True,
    ),
    QuestionDraft(
        key="age_group",
        text="How old are you?",
        why="So that what we suggest suits you.",
        help="A range is enough.",
        type="single_choice",
        attribute="age_group",  # their own word; age_band is concluded from a date of birth and never asked for
        purpose="personalise",
        options=_options(dict(AGE_BANDS)),
        weight=1.5,
        enabled=True,
    ),
    QuestionDraft(
        key="shoe_size",
        text="Which shoe size do you wear?",
        why="So that we only show you boots we have in your size.",
        help="The European size.",
        type="single_choice",
        attribute="shoe_size",
        purpose="personalise",
        options=_options({str(size): str(size) for size in range(37, 45)}),
        enabled=True,
    ),
    QuestionDraft(
        key="country",
        text="Which country do we ship to?",
        why="So that you see prices with the shipping to you.",
        type="single_choice",
        attribute="country",
        purpose="personalise",
        options=_options({country.code: country_name(country.code) for country in COUNTRIES}),
        enabled=True,
    ),
)

# (slug, name, description, purpose, condition)
SEGMENTS = (
    (
        JACKETS,
        "Women 25–34 in Europe who looked at jackets",
        "The most likely buyers of the new harbour jackets.",
        "personalise",
        'gender:female AND (age_group:"25-34" OR age_band:"25-34") AND continent:Europe'
        ' AND did("Product Viewed" where category:jackets in 90d)',
    ),
    (
        "lapsed-buyers",
        "Lapsed buyers",
        "Bought before, but not in the last thirty days, and let us write to them.",
        "message",
        'consent:message AND did("Order Completed") AND NOT did("Order Completed" in 30d)',
    ),
    (
        "big-baskets",
        "Big baskets",
        "Spent 300 euros or more in sixty days.",
        "measure",
        'did(sum total of "Order Completed" in 60d):>=300',
    ),
    (
        "new-this-month",
        "New this month",
        "Signed up in the last thirty days.",
        "personalise",
        'did("Signed Up" in 30d)',
    ),
    (
        "knitwear-fans",
        "Knitwear fans",
        "Answered so, or keep coming back to that shelf.",
        "personalise",
        'looking_for:knitwear OR did("Product Viewed" where category:knitwear in 60d):>=3',
    ),
    (
        "newsletter-only",
        "Newsletter only",
        "We may write to them, and they never came to the shop.",
        "message",
        'consent:message AND NOT did("Page Viewed")',
    ),
)

RULES = ("add-claim", "loyalty-tier-claim", "first-login-flag", "enrich-us-census-income")


def make_questions() -> None:
    there = set(Question.objects.values_list("key", flat=True))
    for draft in QUESTIONS:
        if draft.key not in there:
            save_question(draft)
    if not QuestionSettings.objects.exists():
        # A visitor of the demo signs in once or twice: the question they see should not depend on a random draw.
        save_settings(control_share=0.0, explore_share=0.0)


def make_rules() -> None:
    there = set(Rule.objects.values_list("slug", flat=True))
    for key in RULES:
        if key not in there:
            enable_template(key)


def make_segments() -> Iterator[Segment]:
    """Yield every segment, new or existing. The caller evaluates them."""
    for slug, name, description, purpose, text in SEGMENTS:
        there = Segment.objects.filter(slug=slug).first()
        yield there or save_segment(name, text, purpose, slug=slug, description=description)
