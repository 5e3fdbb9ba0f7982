"""CoTo: is the compute saved that a mask allows to save?"""
