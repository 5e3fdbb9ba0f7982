"""How well do clients do, by what they share?"""
