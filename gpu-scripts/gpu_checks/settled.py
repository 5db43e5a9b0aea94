"""What a report of gpu_check.py settles of dumont_worker/gpu/ways.py."""

from typing import Any

PLANES_BETTER = 0.005
"""Of all raw bytes: what splitting on the CPU must save to be worth its time."""
PINNED_FASTER = 1.15
_SORTS = {1: ("fp8",), 2: ("bf16", "fp16"), 4: ("fp32",)}


def settled(report: dict[str, Any]) -> dict[str, Any]:
    """Gives ANS, BLOCK and PINNED as the report has them; absent what it does not tell."""
    rows = _rows(report)
    block = _block(rows)
    told: dict[str, Any] = {}
    if block is not None:
        table = {(row["data"], row["way"]): row for row in rows if row["block"] == block}
        told = {"BLOCK": block, "ANS": _ways(table, report)}
    copied = report.get("questions", {}).get("copies", {})
    plain, pinned = copied.get("plain 4 MiB"), copied.get("pinned 4 MiB")
    if plain and pinned:
        told["PINNED"] = pinned["cuda"] > PINNED_FASTER * plain["cuda"]
    return told


def _rows(report: dict[str, Any]) -> list[dict[str, Any]]:
    asked = report.get("questions", {}).get("blocks", {})
    rows = [row for row in asked.values() if isinstance(row, dict) and "block" in row]
    # What does not come back is no way at all.
    return [row for row in rows if row["readByOurs"]]


def _block(rows: list[dict[str, Any]]) -> int | None:
    """The fastest of those blocks that store within 0.2 % of the least; floats count, bytes not."""
    floats = [row for row in rows if row["width"] > 1 and row["way"] == "words"]
    sums: dict[int, list[tuple[float, float]]] = {}
    for row in floats:
        slowest = min(row["encode"], row["decode"])
        sums.setdefault(row["block"], []).append((row["ratio"], slowest))
    whole = max(map(len, sums.values()), default=0)
    stored = {
        block: (sum(ratio for ratio, _ in found) / whole, min(speed for _, speed in found))
        for block, found in sums.items()
        if len(found) == whole
    }
    if not stored:
        return None
    least = min(ratio for ratio, _ in stored.values())
    near = [block for block, (ratio, _) in stored.items() if ratio <= least + 0.002]
    return max(near, key=lambda block: stored[block][1])


def _ways(table: dict[tuple[str, str], dict[str, Any]], report: dict[str, Any]) -> dict[str, str]:
    """By width, as JSON has keys: `words` or `planes`; absent where the CPU stores less."""
    ways: dict[str, str] = {}
    for width, sorts in _SORTS.items():
        rows = {way: [table.get((sort, way)) for sort in sorts] for way in ("words", "planes")}
        ratios = {
            way: sum(row["ratio"] for row in found if row) / len(found)
            for way, found in rows.items()
            if all(found)
        }
        if width == 1:
            on_cpu = {row["data"]: row["ratio"] for row in report.get("cpu", [])}.get("fp8")
            if on_cpu is not None and ratios.get("words", 1) <= on_cpu + PLANES_BETTER:
                ways["1"] = "words"
        elif "words" in ratios:
            saved = ratios["words"] - ratios.get("planes", 1)
            ways[str(width)] = "planes" if saved > PLANES_BETTER else "words"
    return ways
