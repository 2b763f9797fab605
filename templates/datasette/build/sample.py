"""Writes a small database, so that a new instance has something to show."""

import sqlite3
import sys

PLANETS = [
    ("Mercury", 2440, 0.39, 0),
    ("Venus", 6052, 0.72, 0),
    ("Earth", 6371, 1.0, 1),
    ("Mars", 3390, 1.52, 2),
    ("Jupiter", 69911, 5.2, None),
    ("Saturn", 58232, 9.58, None),
    ("Uranus", 25362, 19.2, None),
    ("Neptune", 24622, 30.05, None),
]

with sqlite3.connect(sys.argv[1]) as db:
    db.execute(
        "CREATE TABLE planets (name TEXT PRIMARY KEY, radius_km INTEGER, distance_au REAL, moons INTEGER)"
    )
    db.executemany("INSERT INTO planets VALUES (?, ?, ?, ?)", PLANETS)
