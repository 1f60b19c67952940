"""Questions, segments and rules that the staff of Harbour & Pine set up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from regulars.profiles.attributes import AGE_BANDS, AttributeWords, Words, reword_attribute
from regulars.profiles.derive import country_name
from regulars.profiles.models import Attribute
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


# In every language of the pages, so that a sign-in never changes its language: language → texts, and the labels of the
# options in their order.
Texts = dict[str, tuple[dict[str, str], str]]


def _translated(keys: Iterable[str], texts: Texts) -> dict[str, dict[str, object]]:
    return {
        language: {**words, "options": dict(zip(keys, labels.split(" / "), strict=True))}
        for language, (words, labels) in texts.items()
    }


LOOKING_FOR: Texts = {
    "de": (
        {"text": "Was suchen Sie?", "why": "Damit wir Ihnen das zuerst zeigen."},
        "Jacken / Hemden / Stiefel / Strickwaren / Taschen",
    ),
    "es": (
        {"text": "¿Qué busca?", "why": "Para mostrárselo primero."},
        "Chaquetas / Camisas / Botas / Punto / Bolsos",
    ),
    "fr": (
        {"text": "Que cherchez-vous ?", "why": "Pour vous le montrer en premier."},
        "Vestes / Chemises / Bottes / Maille / Sacs",
    ),
    "pt-BR": (
        {"text": "O que você procura?", "why": "Para mostrarmos isso primeiro."},
        "Jaquetas / Camisas / Botas / Tricô / Bolsas",
    ),
    "ja": (
        {"text": "何をお探しですか?", "why": "最初にお見せするためです。"},
        "ジャケット / シャツ / ブーツ / ニット / バッグ",
    ),
    "ar": ({"text": "عمّ تبحث؟", "why": "لنعرضه عليك أولًا."}, "سترات / قمصان / أحذية / تريكو / حقائب"),
}
BUYS_FOR: Texts = {
    "de": (
        {"text": "Für wen kaufen Sie meistens ein?", "why": "Damit Größen und Geschenke zur richtigen Person passen."},
        "Für mich / Für meine Partnerin oder meinen Partner / Für meine Kinder",
    ),
    "es": (
        {
            "text": "¿Para quién compra normalmente?",
            "why": "Para que las tallas y los regalos sean para la persona adecuada.",
        },
        "Para mí / Para mi pareja / Para mis hijos",
    ),
    "fr": (
        {
            "text": "Pour qui achetez-vous le plus souvent ?",
            "why": "Pour que tailles et cadeaux conviennent à la bonne personne.",
        },
        "Pour moi / Pour mon ou ma partenaire / Pour mes enfants",
    ),
    "pt-BR": (
        {
            "text": "Para quem você costuma comprar?",
            "why": "Para que tamanhos e presentes sirvam à pessoa certa.",
        },
        "Para mim / Para meu par / Para meus filhos",
    ),
    "ja": (
        {
            "text": "主にどなたのために購入しますか?",
            "why": "サイズや贈り物をその方に合わせるためです。",
        },
        "自分 / パートナー / 子ども",
    ),
    "ar": (
        {"text": "لمن تتسوّق غالبًا؟", "why": "لتناسب المقاسات والهدايا الشخص المقصود."},
        "لنفسي / لشريك حياتي / لأطفالي",
    ),
}
AGE_GROUP: Texts = {
    "de": (
        {
            "text": "Wie alt sind Sie?",
            "why": "Damit unsere Vorschläge zu Ihnen passen.",
            "help": "Eine Spanne genügt.",
        },
        "18 bis 24 / 25 bis 34 / 35 bis 44 / 45 bis 54 / 55 oder älter",
    ),
    "es": (
        {
            "text": "¿Qué edad tiene?",
            "why": "Para que lo que le proponemos le convenga.",
            "help": "Basta un intervalo.",
        },
        "De 18 a 24 / De 25 a 34 / De 35 a 44 / De 45 a 54 / 55 o más",
    ),
    "fr": (
        {
            "text": "Quel âge avez-vous ?",
            "why": "Pour que nos suggestions vous conviennent.",
            "help": "Une tranche suffit.",
        },
        "18 à 24 ans / 25 à 34 ans / 35 à 44 ans / 45 à 54 ans / 55 ans ou plus",
    ),
    "pt-BR": (
        {
            "text": "Qual é a sua idade?",
            "why": "Para que nossas sugestões combinem com você.",
            "help": "Uma faixa basta.",
        },
        "18 a 24 / 25 a 34 / 35 a 44 / 45 a 54 / 55 ou mais",
    ),
    "ja": (
        {
            "text": "おいくつですか?",
            "why": "あなたに合うものをご提案するためです。",
            "help": "おおよその年代で構いません。",
        },
        "18~24歳 / 25~34歳 / 35~44歳 / 45~54歳 / 55歳以上",
    ),
    "ar": (
        {"text": "كم عمرك؟", "why": "ليناسبك ما نقترحه عليك.", "help": "تكفي الفئة العمرية."},
        "من 18 إلى 24 / من 25 إلى 34 / من 35 إلى 44 / من 45 إلى 54 / 55 أو أكثر",
    ),
}
SHOE_SIZES = [str(size) for size in range(37, 45)]
SHOE_SIZE: Texts = {
    language: (dict(zip(("text", "why", "help"), words, strict=True)), " / ".join(SHOE_SIZES))
    for language, words in {
        "de": (
            "Welche Schuhgröße tragen Sie?",
            "Damit wir nur Stiefel zeigen, die es in Ihrer Größe gibt.",
            "Die europäische Größe.",
        ),
        "es": (
            "¿Qué número de zapato usa?",
            "Para mostrarle solo botas que tenemos en su número.",
            "El número europeo.",
        ),
        "fr": (
            "Quelle est votre pointure ?",
            "Pour ne vous montrer que des bottes disponibles dans votre pointure.",
            "La pointure européenne.",
        ),
        "pt-BR": (
            "Que número você calça?",
            "Para mostrarmos só botas que temos no seu número.",
            "O número europeu.",
        ),
        "ja": (
            "靴のサイズはいくつですか?",
            "あなたのサイズの在庫があるブーツだけをお見せするためです。",
            "ヨーロッパのサイズです。",
        ),
        "ar": (
            "ما مقاس حذائك؟",
            "لنعرض عليك فقط الأحذية المتوفرة بمقاسك.",
            "المقاس الأوروبي.",
        ),
    }.items()
}
COUNTRY = {
    "de": ("In welches Land liefern wir?", "Damit Sie Preise mit dem Versand zu Ihnen sehen."),
    "es": ("¿A qué país enviamos?", "Para que vea los precios con el envío incluido."),
    "fr": ("Dans quel pays livrons-nous ?", "Pour que vous voyiez les prix avec la livraison chez vous."),
    "pt-BR": ("Para que país enviamos?", "Para que você veja os preços com a entrega até você."),
    "ja": ("お届け先の国はどこですか?", "そちらへの送料を含む価格を表示するためです。"),
    "ar": ("إلى أي بلد نشحن؟", "لترى الأسعار شاملة الشحن إليك."),
}
# What the answers are called on the customer's page, where the question itself does not stand beside them.
ATTRIBUTES = {
    "looking_for": {
        "en": "Looking for",
        "de": "Auf der Suche nach",
        "es": "Busca",
        "fr": "Recherche",
        "pt-BR": "Procura",
        "ja": "お探しのもの",
        "ar": "يبحث عن",
    },
    "buys_for": {
        "en": "Buys for",
        "de": "Kauft ein für",
        "es": "Compra para",
        "fr": "Achats pour",
        "pt-BR": "Compra para",
        "ja": "購入の相手",
        "ar": "يشتري لـ",
    },
    "age_group": {
        "en": "Age group",
        "de": "Altersgruppe",
        "es": "Grupo de edad",
        "fr": "Tranche d’âge",
        "pt-BR": "Faixa etária",
        "ja": "年代",
        "ar": "الفئة العمرية",
    },
    "shoe_size": {
        "en": "Shoe size",
        "de": "Schuhgröße",
        "es": "Número de zapato",
        "fr": "Pointure",
        "pt-BR": "Número do calçado",
        "ja": "靴のサイズ",
        "ar": "مقاس الحذاء",
    },
}

# The mark that the rule `first-login-flag` writes into metadata, which customers read on their own page.
FIRST_LOGIN = {
    "app_metadata.first_login.client": {
        "en": "First login at",
        "de": "Erste Anmeldung bei",
        "es": "Primer inicio de sesión en",
        "fr": "Première connexion à",
        "pt-BR": "Primeiro acesso em",
        "ja": "初回サインイン先",
        "ar": "أول تسجيل دخول في",
    },
    "app_metadata.first_login.connection": {
        "en": "First login with",
        "de": "Erste Anmeldung mit",
        "es": "Primer inicio de sesión con",
        "fr": "Première connexion avec",
        "pt-BR": "Primeiro acesso com",
        "ja": "初回サインインの方法",
        "ar": "أول تسجيل دخول بواسطة",
    },
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
        translations=_translated(CATEGORIES, LOOKING_FOR),
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
        translations=_translated(("myself", "partner", "children"), BUYS_FOR),
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
        translations=_translated(dict(AGE_BANDS), AGE_GROUP),
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
        options=_options({size: size for size in SHOE_SIZES}),
        translations=_translated(SHOE_SIZES, SHOE_SIZE),
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
        translations={
            language: {
                "text": text,
                "why": why,
                "options": {each.code: country_name(each.code, language.replace("-", "_")) for each in COUNTRIES},
            }
            for language, (text, why) in COUNTRY.items()
        },
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
            _name_attribute(draft.attribute)
    if not QuestionSettings.objects.exists():
        # A visitor of the demo signs in once or twice: the question they see should not depend on a random draw.
        save_settings(control_share=0.0, explore_share=0.0)


def _name_attribute(key: str) -> None:
    if labels := ATTRIBUTES.get(key):
        attribute = Attribute.objects.get(key=key)
        words: dict[str, Words] = {
            language: {**attribute.translations.get(language, {}), "label": label} for language, label in labels.items()
        }
        reword_attribute(key, AttributeWords(labels["en"], words))


def make_rules() -> None:
    there = set(Rule.objects.values_list("slug", flat=True))
    for key in RULES:
        if key not in there:
            enable_template(key)
    for path, labels in FIRST_LOGIN.items():
        words = {language: {"label": label} for language, label in labels.items()}
        named = {"label": labels["en"], "purposes": ["serve"], "translations": words, "metadata_path": path}
        Attribute.objects.get_or_create(key=path, defaults=named)


def make_segments() -> Iterator[Segment]:
    """Yield every segment, new or existing. The caller evaluates them."""
    for slug, name, description, purpose, text in SEGMENTS:
        there = Segment.objects.filter(slug=slug).first()
        yield there or save_segment(name, text, purpose, slug=slug, description=description)
