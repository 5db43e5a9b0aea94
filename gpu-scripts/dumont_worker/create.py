"""A create: scans, hands out work to engines, writes the index of what they stored."""

import os
import time
from contextlib import suppress
from functools import partial
from typing import Any

from .byte_string import to_json
from .chunk_table import ChunkTable
from .create_crew import Crew
from .create_source import Helpers, UnitSource
from .create_window import Window
from .earlier import accepted_groups, accepted_packs
from .gpu.auto import Auto
from .gpu.devices import refusal
from .gpu.requirement import Library, installed
from .gpu.uplink import Watch, remember
from .gpu.use import GpuUse, gpu_use, require_able
from .index import IndexWriter, encode_packs
from .index_upload import IndexUpload
from .inheritance import Inheritance, open_groups, open_parent
from .journal import Journal, open_journal
from .memory_plan import MemoryPlan, plan_memory
from .operator_desk import OperatorDesk
from .parity_create import GroupLedger, IndexParity
from .parity_groups import Group
from .protocol import CreateRequest
from .roots import Root, resolve_roots
from .rules import Rules
from .scan import Scan, file_system_clock
from .seal import Sealer
from .serve import Box
from .session import Link
from .siblings import Siblings

# Shown before the first unit, while the parent's index is read and the scan passes unchanged files.
_SCAN, _TRANSFER, _INDEX = "scan", "transfer", "index"


def run(link: Link, request: CreateRequest, box: Box) -> dict[str, Any]:
    """Makes one snapshot, all but its manifest; gives the fields of `result`.

    Raises WorkerError, Cancelled.
    """
    sealer = Sealer(request.seal) if request.seal is not None else None
    roots = resolve_roots(list(request.roots))
    scan = Scan(
        roots,
        Rules(request.excludes, request.exclude_caches),
        link,
        protect=_protected(request, box),
        cross_mounts=request.cross_mounts,
    )
    if request.dry_run:
        from . import create_sample  # noqa: PLC0415 - it brings all codecs

        result = create_sample.run(link, request, roots, scan, box)
        return _described(roots, scan) | result | _left_out(scan)
    paths = [root.path for root in roots]
    journal = open_journal(box.private, request.repository, request.lineage, paths)
    desk = OperatorDesk(link, sealer is not None)
    create = _Create(link, request, box, journal, desk)
    create.sealer = sealer
    try:
        result = create.run(roots, scan)
        return _described(roots, scan) | result | _left_out(scan)
    finally:
        create.end()
        desk.close()
        journal.close()


def _protected(request: CreateRequest, box: Box) -> set[tuple[int, int]]:
    """What is never read, by device and inode: dumont's own directories."""
    nodes = {box.private.node()}
    for path in (*request.protect, *([os.fsencode(box.native)] if box.native else [])):
        with suppress(OSError):
            found = os.stat(path)
            nodes.add((found.st_dev, found.st_ino))
    return nodes


def _described(roots: list[Root], scan: Scan) -> dict[str, Any]:
    """What scan and roots know of the result once the scan is over."""
    told = []
    for root in roots:
        fields: dict[str, Any] = {"path": to_json(root.path), "type": root.kind}
        if root.given is not None:
            fields["given"] = to_json(root.given)
        told.append(fields)
    return {"roots": told, "skippedMounts": [to_json(mount) for mount in scan.skipped_mounts]}


def _left_out(scan: Scan) -> dict[str, Any]:
    counts = {code: {"count": n.count, "bytes": n.bytes} for code, n in scan.left_out.items()}
    return {"leftOut": counts}


class _Create:
    """One create, on the coordinator's main thread."""

    def __init__(
        self, link: Link, request: CreateRequest, box: Box, journal: Journal, desk: OperatorDesk
    ) -> None:
        self._link = link
        self._request = request
        self._box = box
        self._journal = journal
        self._desk = desk
        self.sealer: Sealer | None = None
        self._crew: Crew | None = None
        self._nvcomp: str | None = None
        self._upload: IndexUpload | None = None

    def run(self, roots: list[Root], scan: Scan) -> dict[str, Any]:
        """Does it all, and gives the result."""
        started = time.monotonic()
        request, link = self._request, self._link
        gpu = self._gpu()
        devices = len(gpu.devices) if gpu is not None else 0
        self._use(gpu)
        scanned_at = min(file_system_clock(self._box.private.path), time.time_ns())
        sealed = self.sealer is not None
        paths = [root.path for root in roots]
        parent = open_parent(link, self._desk, request.parent, paths, sealed)
        chunks = 0 if parent is None else parent.chunk_count
        plans = partial(self._plan, chunks)
        plan = plans(devices)
        watch = Watch(plan.pack_size * sum(plan.parts))
        auto = Auto(link, request, self._box, plans, watch) if request.codec == "auto" else None
        parent_id = request.parent.id if request.parent is not None else None
        self._journal.load(parent_id, self._readable(auto), auto is not None)
        to = (self._desk, request.pin, link.cancelled)
        index_parity = IndexParity(*to, request.parity) if request.parity else None
        upload = self._upload = IndexUpload(*to, self.sealer, index_parity)
        writer = IndexWriter(request.snapshot, scanned_at, upload.emit)
        table = ChunkTable(writer, parent)
        kept = open_groups(link, self._desk, request.parent) + self._reuse_earlier(table)
        groups = GroupLedger(kept, self._journal.add_group)
        self._journal.start(request.snapshot, scanned_at, self._nvcomp)
        window = Window(table, writer)
        inheritance = Inheritance(parent, self._journal, table, trusting=not request.reread)
        siblings = Siblings() if request.delta and request.codec != "none" else None
        helpers = Helpers(inheritance.recall, scan.starts_group, link.warn, siblings)
        source = UnitSource(iter(scan), roots, window, helpers)
        crew = self._crew = Crew(link, request, plan, self._box.native, gpu)
        crew.attend(source, table, self._journal, self._desk, watch)
        crew.groups = groups
        link.progress.phase(_SCAN)
        scanned = self._work(crew, source, window, auto)
        crew.finish()
        transferred = time.monotonic()
        if (rates := watch.rates()) is not None:
            remember(self._box.private, request.repository, rates)
        link.progress.phase(_INDEX)
        summary = writer.close()
        upload.finish()
        listed = table.pack_list()
        encoded = encode_packs(request.snapshot, listed)
        packs = upload.send("packs", len(upload.segments), encoded)
        parity = groups.close(request.snapshot, listed, index_parity, upload.send)
        totals, tally = table.totals, window.tally
        return {
            "counts": tally.counts(link.warnings["unreadable"]),
            "bytes": {"raw": tally.raw, **totals.fields(), **parity.bytes},
            "seconds": {
                "scan": _rounded(scanned - started),
                "transfer": _rounded(transferred - started),
                "total": _rounded(time.monotonic() - started),
            },
            "index": {
                "segments": upload.segments,
                "packs": packs,
                **parity.manifest,
                "entries": summary.entries,
                "chunks": summary.chunks,
                "merkle": summary.merkle,
            },
            "decoders": list(summary.decoders),
            **_nvidia(crew, table, self._readable(auto)),
            **parity.told,
            **({} if auto is None else {"choice": auto.choice.fields()}),
            "warnings": dict(link.warnings),
            "notes": dict(link.notes),
            "reusedPacks": table.named_of("journal"),
        }

    def _gpu(self) -> GpuUse | None:
        """Which GPUs code; BOX_UNSUITABLE before anything is stored."""
        codec, box = self._request.codec, self._box
        if codec not in ("ans", "gzstd"):
            return None
        use = gpu_use(codec, box.nvcomp, box.native, box.gpus)
        require_able(use, self._link.check)
        return use

    def _plan(self, chunks: int, gpus: int) -> MemoryPlan:
        request = self._request
        sealed = self.sealer is not None
        cpus, parity = self._box.cpus, request.parity
        return plan_memory(
            request.memory, request.parts, cpus, gpus, chunks, sealed=sealed, parity=parity
        )

    def _use(self, gpu: GpuUse | None) -> None:
        """Notes which nvCOMP makes ANS chunks from now on."""
        self._nvcomp = installed(gpu.directory) if gpu is not None and gpu.codec == "ans" else None

    def _readable(self, auto: Auto | None) -> str | None:
        """The nvCOMP whose ANS chunks of an interrupted run may be named."""
        box = self._box
        if auto is None or box.nvcomp is None or refusal(box.gpus) is not None:
            return self._nvcomp
        return installed(box.nvcomp)

    def end(self) -> None:
        """Leaves no process and no thread behind."""
        if self._crew is not None:
            self._crew.kill()
        if self._upload is not None:
            self._upload.abandon()

    def _reuse_earlier(self, table: ChunkTable) -> list[Group]:
        """Takes the packs of an interrupted run that may be named; gives their groups."""
        sealed = self.sealer is not None
        mine = [pack for pack in self._journal.packs if (pack.seal is not None) == sealed]
        packs = accepted_packs(self._link, mine)
        # Bases first: what differs from one that is lost is lost as well.
        for differing in (False, True):
            for pack in packs:
                table.add_pack("journal", 0, pack)
                chunks = [chunk for chunk in pack.chunks if (chunk.base is not None) == differing]
                table.locate("journal", 0, chunks)
        return accepted_groups(self._link, self._journal.groups, packs)

    def _work(self, crew: Crew, source: UnitSource, window: Window, auto: Auto | None) -> float:
        """Until every entry is written; gives the time at which the scan had ended."""
        link, progress = self._link, self._link.progress
        scanned = 0.0
        while True:
            link.check()
            crew.hand_out(source)
            files = 0
            for slot in window.write_ready():
                if slot.ready:
                    files += slot.entry.kind == "file"
                else:
                    source.read(slot)
            progress.add(files=files)
            progress.totals(*source.seen)
            if source.exhausted:
                scanned = scanned or time.monotonic()
                if not len(window) and crew.is_idle:
                    return scanned
            crew.take_answers(wait=not source.is_eager or crew.is_full)
            if auto is not None and source.is_eager and auto.is_due():
                self._reconsider(crew, auto)

    def _reconsider(self, crew: Crew, auto: Auto) -> None:
        """Lets the engines come to rest, and goes on with what `auto` chooses then."""
        while not crew.is_idle:
            self._link.check()
            crew.take_answers(wait=True)
        crew.finish()
        change = auto.decide()
        self._use(change.gpu)
        if self._nvcomp is not None:
            self._journal.choose(self._nvcomp)
        crew.change(*change)


def _nvidia(crew: Crew, table: ChunkTable, version: str | None) -> dict[str, Any]:
    """What a restore of the ANS chunks of this run, and of an interrupted one, needs."""
    if not table.totals.ans:
        return {}
    return {"nvidia": crew.nvidia or Library(version or "", 0).requirement()}


def _rounded(seconds: float) -> float:
    return round(seconds, 3)
