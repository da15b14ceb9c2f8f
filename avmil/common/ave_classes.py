"""The 28 classes of AVE, by name.

Source: Tian, Shi, Li, Duan and Xu, "Audio-visual event localization in
unconstrained videos", ECCV 2018 (AVE-ECCV18, data/Annotations.txt).
"""

from __future__ import annotations

AVE_CLASSES = (
    *("Accordion", "Acoustic guitar", "Baby cry, infant cry", "Banjo", "Bark"),
    *("Bus", "Cat", "Chainsaw", "Church bell", "Clock"),
    *("Female speech, woman speaking", "Fixed-wing aircraft, airplane"),
    *("Flute", "Frying (food)", "Goat", "Helicopter", "Horse"),
    *("Male speech, man speaking", "Mandolin", "Motorcycle"),
    *("Race car, auto racing", "Rodents, rats, mice", "Shofar"),
    *("Toilet flush", "Train horn", "Truck", "Ukulele", "Violin, fiddle"),
)
