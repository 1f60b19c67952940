"""Countries of the invented customers, with towns and names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Country:
    """`share` of all customers, in percent; `towns` are (city, postal code)."""

    code: str
    share: int
    locale: str
    towns: tuple[tuple[str, str], ...]
    women: tuple[str, ...]
    men: tuple[str, ...]
    families: tuple[str, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


COUNTRIES = (
    Country(
        "DE",
        22,
        "de",
        (("Berlin", "10437"), ("Hamburg", "20359"), ("Köln", "50674"), ("Leipzig", "04229"), ("München", "80469")),
        _words("Lena Anna Mia Clara Johanna Greta Frieda Katharina Sophie Paula Maike Svenja"),
        _words("Jonas Felix Paul Lukas Till Moritz Jan Henrik Matthias Ole"),
        _words("Vogt Schäfer Brandt Krüger Lorenz Hoffmann Petersen Jansen Seidel Winkler Albrecht Thoma"),
    ),
    Country(
        "US",
        18,
        "en-US",
        (
            ("New York", "10001"),
            ("San Francisco", "94110"),
            ("Chicago", "60614"),
            ("Seattle", "98101"),
            ("Cambridge", "02139"),
            ("Austin", "78704"),
        ),
        _words("Grace Emily Olivia Hannah Maya Zoe Natalie Rachel Imani Claire Jasmine Nora"),
        _words("Ethan Noah Caleb Marcus Tyler Aaron Julian Miles Andre Wyatt"),
        _words("Miller Carter Nguyen Rivera Brooks Hughes Coleman Park Sanders Foster Ramirez Bennett"),
    ),
    Country(
        "GB",
        16,
        "en-GB",
        (("London", "E8 1EA"), ("Bristol", "BS6 5BX"), ("Leeds", "LS6 2AE"), ("Glasgow", "G12 8QQ")),
        _words("Amelia Poppy Isla Freya Niamh Priya Harriet Beth Zara Martha"),
        _words("Tom Oliver Callum Rhys Imran Alfie Jack Rory Samir George"),
        _words("Okafor Taylor Evans Hughes Patel Campbell Reid Walsh Khan Barnes Fraser Doyle"),
    ),
    Country(
        "FR",
        10,
        "fr",
        (("Paris", "75011"), ("Lyon", "69001"), ("Nantes", "44000"), ("Bordeaux", "33000")),
        _words("Camille Manon Inès Chloé Élise Margaux Léa Jeanne"),
        _words("Hugo Louis Antoine Mehdi Théo Baptiste Arthur Rémi"),
        _words("Moreau Lefèvre Garnier Roussel Benali Chevalier Perrin Dubois"),
    ),
    Country(
        "PT",
        9,
        "pt-PT",
        (("Lisboa", "1100-148"), ("Porto", "4000-007"), ("Braga", "4700-024")),
        _words("Inês Beatriz Mariana Carolina Rita Joana Leonor"),
        _words("João Tiago Miguel Rui Gonçalo Duarte"),
        _words("Silva Ferreira Almeida Costa Ribeiro Teixeira Lopes"),
    ),
    Country(
        "NL",
        7,
        "nl",
        (("Amsterdam", "1053 AB"), ("Utrecht", "3511 LN"), ("Rotterdam", "3012 GB")),
        _words("Sanne Fleur Lotte Noor Femke Roos"),
        _words("Daan Bram Sem Jeroen Thijs Ruben"),
        _words("Visser Bakker Mulder Dekker Hendriks Smit"),
    ),
    Country(
        "ES",
        7,
        "es",
        (("Madrid", "28004"), ("Barcelona", "08012"), ("Valencia", "46005")),
        _words("Lucía Marta Carmen Paula Elena Nuria"),
        _words("Pablo Álvaro Javier Sergio Iker Mateo"),
        _words("García Navarro Ortega Vidal Serrano Molina"),
    ),
    Country(
        "SE",
        5,
        "sv",
        (("Stockholm", "116 30"), ("Göteborg", "413 04")),
        _words("Elsa Alva Linnea Saga Maja"),
        _words("Axel Oskar Emil Nils Viktor"),
        _words("Lindqvist Berg Nyström Holm Ekdahl"),
    ),
    Country(
        "CA",
        3,
        "en-CA",
        (("Halifax", "B3H 1Y2"), ("Vancouver", "V6B 1H4")),
        _words("Avery Sadie Rowan Maeve"),
        _words("Liam Owen Nathan Theo"),
        _words("MacDonald Tremblay Singh Fraser"),
    ),
    Country(
        "JP",
        3,
        "ja",
        (("Tokyo", "150-0001"), ("Kobe", "650-0001")),
        _words("Yuki Chika Haruka Mei"),
        _words("Ren Haruto Sota Kenji"),
        _words("Tanaka Mori Ishikawa Ueda"),
    ),
)
