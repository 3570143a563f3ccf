"""What is asked and set about files, and links."""

from __future__ import annotations

ATTRIBUTES: dict[str, str] = {
    "stat": """
info = os.stat(at("b.bin"))
show(info.st_size, info.st_nlink, stat.filemode(info.st_mode), stat.S_ISREG(info.st_mode))
show(stat.filemode(os.stat(at("full")).st_mode), stat.filemode(os.lstat(at("link")).st_mode))
show(os.lstat(at("link")).st_size, os.stat(at("link")).st_size)
with open(at("b.bin")) as file:
    show(os.path.samestat(os.fstat(file.fileno()), info), os.path.sameopenfile(0, 0))
show(info.st_ino == os.stat(at("b.bin")).st_ino, info.st_ino != os.stat(at("a.txt")).st_ino)
show(os.path.samefile(at("link"), at("a.txt")), os.path.samefile(at("folder"), at("full/")))
""",
    "stat of what is not there": """
attempt(os.stat, at("missing"))
attempt(os.stat, at("missing/deeper"))
attempt(os.stat, at("a.txt/deeper"))
attempt(os.stat, at("a.txt/"))
attempt(os.stat, at("nowhere"))
attempt(os.stat, at("loop"))
attempt(os.lstat, at("loop") + "/")
attempt(os.stat, at("x" * 256))
attempt(os.stat, at("x" * 255))
attempt(os.stat, at(*["x" * 200] * 30))
attempt(os.stat, "")
show(os.path.exists(at("nowhere")), os.path.lexists(at("nowhere")), os.path.isdir(at("folder")))
show(os.path.isfile(at("folder")), os.path.islink(at("folder")), os.path.isfile(at("a.txt/")))
""",
    "dots": """
show(os.path.samefile(at("full/.."), root), os.path.samefile(at("folder/.."), root))
show(os.path.samefile(at("full/deep/../../a.txt"), at("link")))
show(os.path.samefile(at("./full/./deep"), at("full/deep")))
attempt(os.stat, at("a.txt/.."))
attempt(os.stat, at("missing/.."))
attempt(os.path.getsize, at("empty//..//a.txt"))
attempt(lambda: open(at("folder/../a.txt")).read())
""",
    "access": """
for name in ("a.txt", "missing", "nowhere", "loop", "link", "empty"):
    show([os.access(at(name), mode) for mode in (os.F_OK, os.R_OK, os.W_OK, os.X_OK)])
""",
    "chmod": """
for mode in (0o600, 0o644, 0o755, 0o400):
    os.chmod(at("a.txt"), mode)
    show(stat.filemode(os.stat(at("a.txt")).st_mode))
os.chmod(at("link"), 0o640)
show(stat.filemode(os.stat(at("a.txt")).st_mode))
with open(at("b.bin"), "r+b") as file:
    os.fchmod(file.fileno(), 0o604)
show(stat.filemode(os.stat(at("b.bin")).st_mode))
os.chmod(at("empty"), 0o700)
show(stat.filemode(os.stat(at("empty")).st_mode))
attempt(os.chmod, at("missing"), 0o600)
fd = os.open(at("private"), os.O_CREAT | os.O_RDWR, 0o600)
os.ftruncate(fd, 5)
os.close(fd)
show(stat.filemode(os.stat(at("private")).st_mode))
fd = os.open(at("fixed"), os.O_CREAT | os.O_RDWR, 0o400)
show(os.write(fd, b"writable while open"), os.ftruncate(fd, 8))
os.close(fd)
os.mkdir(at("secret"), 0o700)
show(stat.filemode(os.stat(at("secret")).st_mode))
""",
    "times": """
os.utime(at("a.txt"), (1_000_000_000.25, 1_100_000_000.5))
info = os.stat(at("a.txt"))
show(info.st_atime, info.st_mtime, info.st_mtime_ns)
os.utime(at("a.txt"), ns=(1_700_000_000_123_000_000, 1_700_000_001_456_000_000))
show(os.stat(at("a.txt")).st_atime_ns, os.stat(at("a.txt")).st_mtime_ns)
before = time.time() - 5
os.utime(at("a.txt"))
show(os.stat(at("a.txt")).st_mtime > before)
os.utime(at("link"), (5, 6))
show(os.stat(at("a.txt")).st_mtime, os.path.getmtime(at("link")))
os.utime(at("full"), (7, 8))
show(os.stat(at("full")).st_mtime)
os.utime(at("b.bin"), (-86400, -3600))
show(os.stat(at("b.bin")).st_mtime)
attempt(os.utime, at("missing"), (1, 1))
with open(at("b.bin"), "r+b") as file:
    os.utime(file.fileno(), (11, 12))
show(os.stat(at("b.bin")).st_mtime)
""",
    "writing changes the time": """
os.utime(at("a.txt"), (1, 1))
Path(at("a.txt")).write_text("new")
show(os.stat(at("a.txt")).st_mtime > time.time() - 60)
os.utime(root, (1, 1))
Path(at("one more")).touch()
show(os.stat(root).st_mtime > time.time() - 60)
Path(at("one more")).touch(exist_ok=True)
attempt(Path(at("one more")).touch, exist_ok=False)
""",
    "links": """
show(os.readlink(at("link")), os.readlink(at("folder")), os.readlink(at("nowhere")))
attempt(os.readlink, at("a.txt"))
attempt(os.readlink, at("missing"))
show(open(at("link")).read(), sorted(os.listdir(at("folder"))), content("folder/deep/three.txt"))
Path(at("link")).write_text("through the link")
show(content("a.txt"))
Path(at("folder/new.txt")).write_text("x")
show(sorted(os.listdir(at("full"))))
show(os.path.realpath(at("folder/deep/../one.txt")), Path(at("link")).resolve().name)
attempt(open, at("nowhere"))
Path(at("nowhere")).write_text("made behind the link")
show(content("nothing"), os.path.islink(at("nowhere")))
attempt(open, at("loop"))
attempt(os.path.realpath, at("loop"), strict=True)
os.unlink(at("folder"))
show(sorted(os.listdir(root)), sorted(os.listdir(at("full"))))
""",
}
