from __future__ import annotations

from pyodide_kernel.parents import Parent, Parents


def parent(message_id: str) -> Parent:
    return Parent(id=message_id, header={"msg_id": message_id})


def test_a_registered_parent_is_found_by_its_id() -> None:
    parents = Parents()
    parents.add(known := parent("a"))
    assert parents.get("a") is known
    assert parents.get("b") is None


def test_the_oldest_parents_make_room_but_never_the_running_cell() -> None:
    parents = Parents(limit=3)
    parents.add(cell := parent("cell"))
    with parents.running(cell):
        for n in range(10):
            parents.add(parent(str(n)))
        assert parents.get("cell") is cell
        assert parents.get("7") is None
        assert parents.get("9") is not None


def test_the_running_cell_is_the_latest_one_afterwards() -> None:
    parents = Parents()
    assert parents.latest_cell is None
    with parents.running(cell := parent("cell")):
        assert parents.running_cell is cell
    assert parents.running_cell is None
    assert parents.latest_cell is cell
