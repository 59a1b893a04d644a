"""The cards of this family."""

from layerzoo.card import cards_in

CARDS = cards_in(__name__)
