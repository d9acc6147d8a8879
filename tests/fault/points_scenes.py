"""What the killed installations live through: together they pass every checkpoint, which a test asserts."""

from __future__ import annotations

from tests.fault import points_scenes_house, points_scenes_owner, points_scenes_venue
from tests.fault.points_house import Scene


def _scenes_of(module: object) -> list[Scene]:
    """All that stand in a module, alone or in groups."""
    found = list[Scene]()
    for value in vars(module).values():
        found += [each for each in (value if isinstance(value, tuple) else (value,)) if isinstance(each, Scene)]
    return found


SCENES = tuple(
    scene for module in (points_scenes_venue, points_scenes_owner, points_scenes_house) for scene in _scenes_of(module)
)
