import assert from "node:assert/strict";

import { ErrorTexts, FileError } from "../../pyodide_kernel/js/bash_errors.ts";
import { BashFiles, fromLatin1, latin1 } from "../../pyodide_kernel/js/bash_files.ts";
import { ERRNO } from "../../pyodide_kernel/js/errno.ts";
import { FakeFileSystem } from "./fake_file_system.ts";

function start(
  files: Readonly<Record<string, string>> = {},
): { disk: FakeFileSystem; files: BashFiles; errors: ErrorTexts; taken: string[] } {
  const disk = new FakeFileSystem(files);
  const errors = new ErrorTexts();
  const taken: string[] = [];
  const sinks = new Map([["/sink", (bytes: Uint8Array): void => void taken.push(latin1(bytes))]]);
  return { disk, files: new BashFiles(disk.fs, errors, sinks), errors, taken };
}

async function errno(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    assert(error instanceof FileError);
    return error.message;
  }
  assert.fail("There was no error");
}

Deno.test("texts are UTF-8, binary ones have a character for each byte", async () => {
  const { files, disk } = start({ "/a": "größe" });
  assert.equal(await files.readFile("/a"), "größe");
  assert.equal(await files.readFile("/a", "binary"), "grÃ¶Ã\u009fe");
  assert.equal(await files.readFileBytes("/a"), "grÃ¶Ã\u009fe");
  await files.writeFile("/b", "ö");
  await files.appendFile("/b", "ÿ", { encoding: "binary" });
  await files.appendFile("/b", new Uint8Array([0]));
  assert.deepEqual([...await files.readFileBuffer("/b")], [0xc3, 0xb6, 0xff, 0]);
  await files.writeFile("/b", "new");
  assert.equal(disk.text("/b"), "new");
  assert.equal(disk.opened, 0);
});

Deno.test("bytes survive the way into a text and back, many of them too", () => {
  const bytes = Uint8Array.from({ length: 100_000 }, (_, index) => index & 0xff);
  assert.deepEqual(fromLatin1(latin1(bytes)), bytes);
});

Deno.test("what is written to a sink goes there", async () => {
  const { files, taken } = start();
  await files.appendFile("/sink", "é", "utf8");
  await files.writeFile("/sink", "é", "binary");
  assert.deepEqual(taken, ["Ã©", "é"]);
  assert.equal(await files.exists("/sink"), true);
  assert.equal((await files.stat("/sink")).isDirectory, false);
  assert.equal(await files.exists("/other"), false);
});

Deno.test("attributes say what a file is", async () => {
  const { files, disk } = start({ "/d/f": "text" });
  disk.symlink("/d/f", "/l");
  assert.deepEqual(await files.stat("/l"), await files.stat("/d/f"));
  const { isSymbolicLink, isFile } = await files.lstat("/l");
  assert.deepEqual([isSymbolicLink, isFile], [true, false]);
  assert.deepEqual([(await files.stat("/d/f")).mode, (await files.stat("/d/f")).size], [0o644, 4]);
  assert.notEqual((await files.stat("/d")).identity, (await files.stat("/d/f")).identity);
  assert.equal(await files.readlink("/l"), "/d/f");
  assert.equal(await files.realpath("/l"), "/d/f");
});

Deno.test("folders are listed in order, without dots", async () => {
  const { files } = start({ "/b": "", "/a/x": "", "/c": "" });
  assert.deepEqual(await files.readdir("/"), ["a", "b", "c"]);
  const entries = await files.readdirWithFileTypes("/");
  assert.deepEqual(entries.map(({ isDirectory }) => isDirectory), [true, false, false]);
  assert.equal(await errno(files.readdir("/b")), "ENOTDIR: not a directory");
});

Deno.test("folders are made, the missing ones too if that is wanted", async () => {
  const { files, disk } = start({ "/f": "" });
  await files.mkdir("/a/b/c", { recursive: true });
  await files.mkdir("/a/b", { recursive: true });
  assert.equal(await errno(files.mkdir("/a")), "EEXIST: file exists");
  assert.equal(await errno(files.mkdir("/x/y")), "ENOENT: no such file or directory");
  assert.equal(await errno(files.mkdir("/f/y", { recursive: true })), "EEXIST: file exists");
  assert(disk.nodes.has("/a/b/c"));
});

Deno.test("what is removed is gone, with all in it only if that is wanted", async () => {
  const { files, disk } = start({ "/d/a/f": "", "/d/b": "" });
  assert.equal(await errno(files.rm("/d")), "ENOTEMPTY: directory not empty");
  await files.rm("/d", { recursive: true });
  assert.deepEqual([...disk.nodes.keys()], ["/"]);
  assert.equal(await errno(files.rm("/d")), "ENOENT: no such file or directory");
  await files.rm("/d", { force: true });
});

Deno.test("a link to a folder is removed, not what it leads to", async () => {
  const { files, disk } = start({ "/d/f": "" });
  disk.symlink("/d", "/l");
  await files.rm("/l", { recursive: true });
  assert(disk.nodes.has("/d/f"));
});

Deno.test("copies have the contents and the mode", async () => {
  const { files, disk } = start({ "/d/f": "x".repeat(3_000_000), "/d/e/g": "g" });
  await files.chmod("/d/f", 0o750);
  disk.symlink("/d/f", "/d/l");
  await files.cp("/d", "/copy", { recursive: true });
  assert.equal(disk.text("/copy/f"), disk.text("/d/f"));
  assert.equal((await files.stat("/copy/f")).mode, 0o750);
  assert.equal(await files.readlink("/copy/l"), "/d/f");
  assert.equal(disk.text("/copy/e/g"), "g");
  assert.equal(await errno(files.cp("/d", "/x")), "EISDIR: is a directory");
  assert.equal(
    await errno(files.cp("/d", "/d/x", { recursive: true })),
    "EINVAL: invalid argument",
  );
  assert.equal(disk.opened, 0);
});

Deno.test("moving to another disk copies and removes", async () => {
  const { files, disk } = start({ "/a/d/f": "f", "/b/x": "" });
  await files.mv("/a/d", "/b/d");
  assert.equal(disk.text("/b/d/f"), "f");
  assert(!disk.nodes.has("/a/d"));
});

Deno.test("a read-only folder refuses, and nothing of it is changed", async () => {
  const { files, disk } = start({ "/ro/f": "f" });
  const refused = "EROFS: read-only file system";
  assert.equal(await errno(files.writeFile("/ro/f", "")), refused);
  assert.equal(await errno(files.appendFile("/ro/g", "")), refused);
  assert.equal(await errno(files.rm("/ro/f")), refused);
  assert.equal(await errno(files.mkdir("/ro/d")), refused);
  assert.equal(await errno(files.cp("/ro/f", "/ro/g")), refused);
  assert.equal(await errno(files.mv("/ro/f", "/f")), refused);
  assert.equal(await errno(files.chmod("/ro/f", 0)), refused);
  assert.equal(await errno(files.symlink("/f", "/ro/l")), refused);
  assert.deepEqual([disk.text("/ro/f"), disk.opened], ["f", 0]);
});

Deno.test("there are no hard links", async () => {
  const { files } = start({ "/f": "" });
  assert.equal(await errno(files.link("/f", "/g")), "EPERM: operation not permitted");
});

Deno.test("times are set", async () => {
  const { files } = start({ "/f": "" });
  const time = new Date(86_400_000);
  await files.utimes("/f", time, time);
  assert.deepEqual((await files.stat("/f")).mtime, time);
});

Deno.test("devices without an end give enough", async () => {
  const { files } = start();
  const [zero, random] = await Promise.all(
    ["/dev/zero", "/dev/urandom"].map((path) => files.readFileBuffer(path)),
  );
  assert(zero && random);
  assert.equal((await files.stat("/dev/zero")).isFile, true);
  assert.deepEqual([zero.length, random.length], [1 << 20, 1 << 20]);
  assert(zero.every((byte) => byte === 0));
  assert(random.subarray(-1000).some((byte) => byte !== 0));
});

Deno.test("a path with a null byte names nothing", async () => {
  const { files } = start({ "/f": "" });
  assert.equal(await errno(files.readFile("/f\0")), "ENOENT: no such file or directory");
  assert.equal(await files.exists("/f\0"), false);
});

Deno.test("a folder that would hide the commands is not seen by the search for them", async () => {
  const { files } = start({ "/usr/bin/ls": "" });
  assert.equal(await files.exists("/usr/bin"), false);
  assert.deepEqual(await files.readdir("/usr/bin"), ["ls"]);
});

Deno.test("an error that is none of a file is not taken for one", async () => {
  const { files, disk } = start({ "/f": "" });
  disk.readFile = (): never => {
    throw new TypeError("broken");
  };
  await assert.rejects(files.readFile("/f"), TypeError);
});

for (
  const [base, path, expected] of [
    ["/a", "b", "/a/b"],
    ["/a", "/b", "/b"],
    ["/a/b", "../c/./d//", "/a/c/d"],
    ["/", "../..", "/"],
  ] as const
) {
  Deno.test(`${path} from ${base} is ${expected}`, () => {
    assert.equal(start().files.resolvePath(base, path), expected);
  });
}

Deno.test("errors are worded as Linux does, with the true reason", async () => {
  const { files, errors } = start({ "/ro/f": "", "/d/x": "" });
  await errno(files.writeFile("/ro/new", ""));
  await errno(files.readFile("/d"));
  const cases = [
    ["bash: /ro/new: cannot open redirect target\n", "bash: /ro/new: Read-only file system\n"],
    ["cat: d: No such file or directory\n", "cat: d: Is a directory\n"],
    ["cat: ./d: No such file or directory", "cat: ./d: Is a directory"],
    ["ls: cannot access 'd': No such file or directory", "ls: cannot access 'd': Is a directory"],
    ["cat: e: No such file or directory\n", "cat: e: No such file or directory\n"],
    ["rm: cannot remove 'y': EROFS: read-only file system\n", "Read-only file system\n"],
    ["no ERROR: here", "no ERROR: here"],
    ["EXXX: no such", "EXXX: no such"],
  ] as const;
  for (const [said, expected] of cases) assert(errors.word(said).endsWith(expected), said);
});

Deno.test("as many errors are remembered as can be of use", () => {
  const errors = new ErrorTexts();
  for (let count = 0; count <= ErrorTexts.MOST; count++) {
    errors.note(`/f${count}`, new FileError(ERRNO.EACCES));
  }
  const said = (name: string): string => errors.word(`cat: ${name}: No such file or directory`);
  assert.equal(said("f0"), "cat: f0: No such file or directory");
  assert.equal(said("f1"), "cat: f1: Permission denied");
});
