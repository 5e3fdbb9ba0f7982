"""Training together without data leaving its owner.

``aggregation`` holds what a server does with what the clients send: pure functions.
"""
