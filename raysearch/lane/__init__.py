"""Lanes: warm groups of workers through which trials flow."""

from .desk import Desk, Order
from .trainable import Lane

__all__ = ["Desk", "Lane", "Order"]
