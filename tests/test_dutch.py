"""Dutch to English content words: word building, compounds, hostile text, and what it does for matching."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from embeddings.dutch import GLOSSARY, NO_MEANING, english_gist, fold
from embeddings.encode import Encoder

# What a Dutch company says, what a Dutch scheme says of the same subject, and what an English call says.
SUBJECTS = """
Wij lassen stalen frames en zoeken een robot die kleine series zelf leert lassen.
Steun voor metaalbedrijven die met lasrobots enkelstuks willen maken.
Robotic welding for small batch production in metal fabrication.

Onze melkrobots herkennen zieke koeien aan hun gedrag.
Subsidie voor technologie die de gezondheid van melkvee bewaakt.
Sensors and AI to detect disease in dairy cows at an early stage.

We maken tanks waarin waterstof onder hoge druk wordt bewaard.
Regeling voor de opslag van waterstof bij bedrijven.
Storage vessels for compressed hydrogen.

Door het volle stroomnet kan onze fabriek niet uitbreiden.
Maatregelen tegen netcongestie op bedrijventerreinen.
Flexibility solutions to relieve grid congestion at industrial sites.

Wij halen medicijnresten uit rioolwater met een nieuw filter.
Zuivering van afvalwater: verwijderen van microverontreinigingen.
Removal of pharmaceutical residues from waste water.

Van aardappelsap maken wij eiwit voor vleesvervangers.
Ondersteuning van de eiwittransitie met plantaardige ingrediënten.
Alternative proteins from plants for meat substitutes.

Ons bedrijf verwerkt gebruikte plastic flessen tot nieuwe korrels.
Recycling van kunststof verpakkingen bevorderen.
Mechanical recycling of post-consumer plastic packaging.

Wij bouwen houten woningen in de fabriek.
Stimulering van industriële woningbouw met biobased materialen.
Prefabricated timber housing and industrialised construction.

Onze binnenvaartschepen moeten zonder diesel gaan varen.
Emissieloze aandrijving van schepen in de binnenvaart.
Zero-emission propulsion for inland waterway vessels.

Ouderen blijven met onze valsensor langer veilig thuis wonen.
Zorgtechnologie voor zelfstandig wonende senioren.
Assistive technology for older people living independently at home.

Wij inspecteren dijken met drones en camera's.
Onbemande luchtvaartuigen voor toezicht op waterkeringen.
Unmanned aircraft for inspection of flood defences.

Onze chips werken met licht in plaats van stroom.
Geïntegreerde fotonica: van ontwerp tot productie.
Photonic integrated circuits: design and pilot manufacturing.

Medewerkers omscholen tot operator van geautomatiseerde lijnen.
Scholing van personeel in de techniek, een leven lang ontwikkelen.
Reskilling of workers for automated factories.

Hackers legden de besturing van onze machines stil.
Weerbaarheid van het mkb tegen digitale aanvallen vergroten.
Cybersecurity of industrial control systems in SMEs.

Een digitale tweeling van onze productielijn voorspelt storingen.
Voorspellend onderhoud met data van machines.
Predictive maintenance using digital twins of production lines.

Restwarmte uit onze oven willen we leveren aan de wijk ernaast.
Aanleg van warmtenetten met warmte uit de industrie.
District heating networks using industrial waste heat.

Wij printen onderdelen van titaan in drie dimensies.
Additieve productie van metalen componenten.
Additive manufacturing of metal parts.

Mest vergisten we tot groen gas voor het gasnet.
Productie van biogas uit dierlijke reststromen.
Biomethane from anaerobic digestion of manure.

Onze veldrobot wiedt onkruid zonder chemische middelen.
Minder gewasbeschermingsmiddelen in de akkerbouw door precisielandbouw.
Mechanical weed control to reduce pesticide use in arable farming.

Oude accu's uit auto's geven wij een tweede leven als buurtbatterij.
Hergebruik van batterijen voor energieopslag.
Second-life electric vehicle batteries for stationary storage.

Wij kweken zeewier op de Noordzee als grondstof voor voedsel.
Teelt van algen en wieren op zee.
Seaweed cultivation and processing for food.

Een veenweide met een hoger waterpeil stoot minder uit; wij meten dat.
Bodemdaling en broeikasgassen in veengebied terugdringen.
Rewetting of peatlands and monitoring of greenhouse gas emissions.

Camera's op onze band keuren elk product zonder mensenwerk.
Kwaliteitscontrole met beeldherkenning in de maakindustrie.
Machine vision for zero-defect quality inspection.

Wij ontwikkelen een pleister die de bloedsuiker meet.
Draagbare medische hulpmiddelen voor patiënten met diabetes.
Wearable biosensors for glucose monitoring.

Vrachtwagens laden op ons distributiecentrum gaat te langzaam.
Laadinfrastructuur voor elektrische bestelwagens en vrachtauto's.
Charging infrastructure for heavy-duty electric trucks.

Onze ondernemers willen de markt op in Azië.
Subsidie voor export en deelname aan handelsmissies.
Support for internationalisation of SMEs to new markets.

Kwantumsensoren meten magneetvelden in het lichaam.
Kwantumtechnologie voor de gezondheidszorg.
Quantum sensing for medical diagnostics.

Wij zuiveren zeewater tot drinkwater met weinig energie.
Ontzilting van brak water met membranen.
Energy-efficient desalination with membranes.

Een cement zonder klinker verlaagt de CO2 van beton.
Verduurzaming van de betonketen.
Low-carbon binders for concrete.

Satellietbeelden laten boeren zien waar het land te droog is.
Aardobservatie voor de landbouw.
Earth observation services for drought monitoring in agriculture.

Windmolenbladen slopen we en de vezels gebruiken we opnieuw.
Circulaire verwerking van composieten uit windturbines.
Recycling of composite wind turbine blades.

Bacteriën die bestand zijn tegen antibiotica opsporen met een sneltest.
Aanpak van antibioticaresistentie door betere diagnostiek.
Rapid diagnostics for antimicrobial resistance.

Nieuwe routes voor onze bestelbusjes besparen brandstof in de stad.
Slimme en schone stadslogistiek.
Sustainable urban last-mile delivery.

Wij laten burgers samen een zonnepark bezitten.
Energiecoöperaties en lokaal eigendom van opwek.
Citizen energy communities for renewable energy.

Zware deuren tillen kost ruggen; een exoskelet helpt.
Gezond en veilig werken in de bouw met technische hulpmiddelen.
Exoskeletons and ergonomics to reduce physical strain at work.

Onze groene kunststof wordt uit suikerbieten gemaakt.
Biobased chemie: van biomassa naar polymeren.
Bio-based polymers from sugar feedstock.
"""
ROWS = [subject.splitlines() for subject in SUBJECTS.strip().split("\n\n")]


def rows() -> list[list[str]]:
    return [line.split("\t") for line in GLOSSARY.read_text("utf-8").splitlines()]


def test_the_glossary_is_large_sorted_and_has_each_word_once() -> None:
    found = rows()
    assert len(found) >= 8000
    assert found == sorted(found)
    assert all(len(row) == 2 and all(cell == " ".join(cell.split()) != "" for cell in row) for row in found)
    assert len({fold(dutch) for dutch, _ in found}) == len(found)
    assert [dutch for dutch, _ in found if dutch != dutch.lower()] == []
    assert [english for _, english in found if not english.isascii()] == []
    assert len([1 for _, english in found if english == NO_MEANING]) < 600


@pytest.mark.parametrize(
    ("dutch", "english"),
    {
        "Wij ontwikkelen een waterstofopslagtank.": "develop hydrogen storage tank",
        "grote fabrieken, slimme huizen, leve de brieven": "large factory smart houses life letters",
        "Het aantal bedrijfjes en onderdeeltjes": "number company component",
        "gelaste, toegepaste en opgeslagen": "welding applied stored",
        "Energie op te slaan en CO₂ af te vangen": "energy store CO2 capture",
        "Kunstmatige intelligentie; KUNSTMATIGE  INTELLIGENTIE": "artificial intelligence",
        "geïntegreerde industriële coöperaties": "integrated industrial cooperative",
        "geintegreerde industriele cooperaties": "integrated industrial cooperative",
        "mkb’ers in auto's": "SMEs cars",
        "zuurstofloos, koolstofarm en eiwitrijk": "oxygen without low-carbon protein-rich",
        "robotgestuurde lasergesneden delen": "robot controlled laser cut share",
        "data-analyse, CO2-uitstoot en hightech-fabriek": "data analysis CO2 emissions high-tech factory",
        "TRL 4 tot 6, 5G, € 50.000 in 2027": "TRL 4 6 5G 50.000 2027",
        "robotica, automatisering, robotisatie": "robotics automation robotisation",
        "eiwitdenaturatie en katalytische flexibiliteit": "protein denaturation catalytic flexibility",
        "Philipsfabriek": "philips factory",
        "big data en supply chain automation": "big data supply chain automation",
        "Wetsus en Xqzwv": "Wetsus Xqzwv",
        "is het niet zo dat wij er voor hen zijn": "not",
        "": "",
    }.items(),
)
def test_dutch_in_english_words(dutch: str, english: str) -> None:
    assert english_gist(dutch) == english


def test_english_words_in_a_dutch_text_are_left_alone() -> None:
    for word in "technology production manufacturing generation reliability sustainable automated".split():
        assert english_gist(word) == word


@given(st.text(max_size=300))
def test_any_text_gives_one_line_that_can_be_encoded(text: str) -> None:
    found = english_gist(text)
    assert found == " ".join(found.split())
    found.encode()


@pytest.mark.parametrize(
    "text",
    [
        "a" * 200_000,
        "中" * 200_000,
        "waterstofopslagtank" * 10_000,
        "a-" * 100_000,
        "op te " * 33_000,
        "\x00\x1b[31m\ud800de\u202e" * 20_000,
        " ".join("ge" * 23 + str(n) for n in range(4_000)),
        " ".join("en" * 10 + chr(97 + n % 26) + chr(97 + n // 26) + "stof" * 6 for n in range(500)),
    ],
    ids=["letter", "chinese", "compound", "hyphens", "separable", "controls", "prefixes", "splits"],
)
def test_hostile_texts_take_no_long_time(text: str) -> None:
    begun = time.process_time()
    english_gist(text)
    assert time.process_time() - begun < 5


def test_a_new_sentence_takes_about_a_millisecond() -> None:
    english_gist("warm")
    begun = time.process_time()
    for cells in ROWS:
        english_gist(cells[0]), english_gist(cells[1])
    assert (time.process_time() - begun) / (2 * len(ROWS)) < 0.01  # the machine may be busy


def first(queries: NDArray[np.float32], passages: NDArray[np.float32]) -> float:
    """The share of queries that meet their own passage before all others."""
    return float(np.mean((queries @ passages.T).argmax(axis=1) == np.arange(len(queries))))


def test_the_gist_finds_calls_that_the_dutch_words_do_not(tmp_path: Path) -> None:
    encoder = Encoder(cache_dir=tmp_path)
    profiles, dutch, english = ([cells[place] for cells in ROWS] for place in range(3))

    def vectors(texts: list[str]) -> NDArray[np.float32]:
        return encoder.encode(texts, kind="passage")

    def gists(texts: list[str]) -> NDArray[np.float32]:
        return vectors([english_gist(text) for text in texts])

    assert len(ROWS) >= 30
    assert first(vectors(profiles), vectors(dutch)) < 0.4 and first(vectors(profiles), vectors(english)) < 0.5
    assert first(gists(profiles), gists(dutch)) >= 0.75
    assert first(gists(profiles), vectors(english)) >= 0.9
