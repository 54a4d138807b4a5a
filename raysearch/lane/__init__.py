"""Lanes: warm groups of workers through which trials flow."""

from .desk import Desk, Order
from .trainable import Lane, release

__all__ = ["Desk", "Lane", "Order", "release"]
