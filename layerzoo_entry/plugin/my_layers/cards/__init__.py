"""The cards of this package: the `CARD` of each file beside this one."""

from layerzoo.card import cards_in

CARDS = cards_in(__name__)
