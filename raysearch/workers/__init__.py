"""Lanes: warm groups of workers through which trials flow.

Its modules are imported one by one: the desk needs no torch, and only workers need transformers."""
