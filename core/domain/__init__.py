"""The words of the domain (DESIGN 4): plain values, standard library only."""
