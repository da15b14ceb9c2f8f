"""The 25 classes of LLP, in the order of its official scorer.

Source: Tian, Li and Xu, "Unified multisensory perception: weakly-supervised
audio-visual video parsing", ECCV 2020 (AVVP-ECCV20).
"""

from __future__ import annotations

LLP_CLASSES = (
    *("Speech", "Car", "Cheering", "Dog", "Cat", "Frying_(food)"),
    *("Basketball_bounce", "Fire_alarm", "Chainsaw", "Cello", "Banjo"),
    *("Singing", "Chicken_rooster", "Violin_fiddle", "Vacuum_cleaner"),
    *("Baby_laughter", "Accordion", "Lawn_mower", "Motorcycle", "Helicopter"),
    *("Acoustic_guitar", "Telephone_bell_ringing", "Baby_cry_infant_cry"),
    *("Blender", "Clapping"),
)
