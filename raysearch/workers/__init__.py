"""Lanes: warm groups of workers through which trials flow.

Its modules are imported one by one: the broker needs no torch, only workers need transformers."""
