"""What is done with folders and names."""

from __future__ import annotations

FOLDERS: dict[str, str] = {
    "make folders": """
attempt(os.mkdir, at("new"))
attempt(os.mkdir, at("new"))
attempt(os.mkdir, at("a.txt"))
attempt(os.mkdir, at("nowhere"))
attempt(os.mkdir, at("missing/new"))
attempt(os.mkdir, at("a.txt/new"))
attempt(os.mkdir, at("slash/"))
attempt(os.mkdir, root)
attempt(os.makedirs, at("x/y/z"))
attempt(os.makedirs, at("x/y/z"), exist_ok=True)
attempt(os.makedirs, at("x/y/z"))
attempt(os.makedirs, at("a.txt"), exist_ok=True)
attempt(Path(at("full")).mkdir, exist_ok=True)
""",
    "remove folders": """
attempt(os.rmdir, at("empty"))
attempt(os.rmdir, at("empty"))
attempt(os.rmdir, at("full"))
attempt(os.rmdir, at("a.txt"))
attempt(os.rmdir, at("folder"))
attempt(os.rmdir, at("full/deep/."))
attempt(os.removedirs, at("full/deep"))
""",
    "remove files": """
attempt(os.unlink, at("a.txt"))
attempt(os.unlink, at("a.txt"))
attempt(os.unlink, at("empty"))
attempt(os.unlink, at("b.bin/"))
attempt(os.unlink, at("b.bin/below"))
attempt(os.remove, at("link"))
attempt(Path(at("gone")).unlink, missing_ok=True)
""",
    "list folders": """
show(sorted(os.listdir(root)), sorted(os.listdir(at("full/"))), os.listdir(at("empty")))
attempt(os.listdir, at("a.txt"))
attempt(os.listdir, at("missing"))
attempt(os.listdir, at("loop"))
with os.scandir(root) as entries:
    show(sorted((e.name, e.is_file(), e.is_dir(), e.is_symlink(),
                 e.is_file(follow_symlinks=False), e.is_dir(follow_symlinks=False))
                for e in entries if e.name != "loop"))
show(sorted((e.path, e.stat().st_size) for e in os.scandir(at("full")) if e.is_file()))
""",
    "walk": """
show(sorted((top, sorted(dirs), sorted(files)) for top, dirs, files in os.walk(root)))
show(sorted(top for top, _, _ in os.walk(root, followlinks=True)))
show(sorted(glob.glob("**/*.txt", root_dir=root, recursive=True)))
show(sorted(map(str, Path(root).rglob("*.txt"))))
""",
    "walk in pathlib": """
show(sorted((str(top), sorted(dirs), sorted(files)) for top, dirs, files in Path(root).walk()))
""",
    "a folder changes while it is listed": """
names = []
for entry in os.scandir(at("full")):
    names.append(entry.name)
    Path(at("full", "added")).touch()
show(len(names) >= 3, sorted(os.listdir(at("full"))))
""",
    "rename a file": """
attempt(os.rename, at("a.txt"), at("c.txt"))
attempt(os.rename, at("a.txt"), at("d.txt"))
attempt(os.rename, at("c.txt"), at("b.bin"))
attempt(os.rename, at("b.bin"), at("b.bin"))
attempt(os.rename, at("b.bin"), at("full"))
attempt(os.rename, at("b.bin"), at("missing/b"))
attempt(os.rename, at("b.bin"), at("full/deep/b"))
attempt(os.rename, at("full/deep/b"), at("b/"))
attempt(os.rename, at("full/deep/b/"), at("b"))
""",
    "rename a folder": """
attempt(os.rename, at("full"), at("moved"))
attempt(os.rename, at("moved"), at("a.txt"))
attempt(os.rename, at("moved"), at("empty"))
os.mkdir(at("other")), os.mkdir(at("other/inside"))
attempt(os.rename, at("empty"), at("other"))
attempt(os.rename, at("empty"), at("empty/below"))
attempt(os.rename, at("empty/deep"), at("empty"))
attempt(os.rename, at("empty/"), at("again/"))
""",
    "replace": """
attempt(os.replace, at("a.txt"), at("b.bin"))
attempt(os.replace, at("b.bin"), at("full/one.txt"))
show(content("full/one.txt"))
attempt(Path(at("full/one.txt")).rename, at("back.txt"))
attempt(os.replace, at("empty"), at("back.txt"))
""",
    "a name changes only its case": """
attempt(os.rename, at("a.txt"), at("A.TXT"))
show(sorted(os.listdir(root)))
""",
    "paths relative to a descriptor": """
fd = os.open(at("full"), os.O_RDONLY | os.O_DIRECTORY)
show(sorted(os.listdir(fd)), sorted(e.name for e in os.scandir(fd)))
show(os.stat("one.txt", dir_fd=fd).st_size)
inner = os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
os.write(inner, b"x"), os.close(inner)
os.mkdir("made", dir_fd=fd), os.rename("new", "renamed", src_dir_fd=fd, dst_dir_fd=fd)
os.unlink("one.txt", dir_fd=fd), os.rmdir("made", dir_fd=fd)
attempt(os.stat, "one.txt", dir_fd=fd)
show(sorted(os.listdir(fd)), os.path.samestat(os.fstat(fd), os.stat(at("full"))))
os.close(fd)
""",
    "working directory": """
former = os.getcwd()
os.chdir(at("full/deep"))
show(os.getcwd(), os.listdir(), open("../one.txt").read(), os.path.exists("../../a.txt"))
Path("here.txt").write_text("x")
fd = os.open("..", os.O_RDONLY)
os.fchdir(fd), os.close(fd)
show(sorted(os.listdir(".")), os.path.abspath("x"))
attempt(os.chdir, "missing")
attempt(os.chdir, "one.txt")
os.chdir(former)
""",
    "odd names": r"""
names = ["é", "e\u0301", "日本", "😀", "a b", "tab\t", "new\nline", "'", '"', "%41", "%", "#?&",
         "\\", "-rf", ".hidden", "..x", "x..", "*", "~", "\u202e", "\ufeff", "con", "x" * 255,
         "é" * 127, "\x7f", "\x01"]
for name in names:
    Path(at(name)).write_text(name)
found = sorted(os.listdir(root))
show(found, [Path(at(name)).read_text() == name for name in names])
for name in names:
    os.rename(at(name), at("full", name))
show(sorted(os.listdir(at("full"))))
attempt(open, at("x" * 256), "w")
attempt(open, at("é" * 128), "w")
attempt(open, at("nul\0"), "w")
""",
    "bytes for names": r"""
show(sorted(os.listdir(os.fsencode(root)))[:2])
attempt(lambda: open(os.fsencode(at("a.txt"))).read())
""",
    "a deep tree": """
path = root
for _ in range(60):
    path += "/level"
    os.mkdir(path)
Path(path, "x").write_text("deep")
show(sum(1 for _ in os.walk(root)), Path(path, "x").read_text())
shutil.rmtree(at("level"))
""",
}
