//! The verdict on real programs and on programs made to be unsuitable.

mod common;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use common::{compile, open_directory};
use strongroom_protector::elf::{
    Concern, Forks, Kind, Note, OwnData, Refusal, Suitability, Verdict, examine,
};

const HELLO: &str = "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n";
const FORKING: &str = "#include <unistd.h>\nint main(void) { return fork() == 0; }\n";
const THREADED: &str = "#include <pthread.h>\n#include <stdlib.h>\n\
    static void *run(void *a) { return a; }\n\
    int main(void) { pthread_t t; pthread_create(&t, 0, run, 0); pthread_join(t, 0);\n\
    return system(\"true\"); }\n";

fn examined(path: impl AsRef<Path>) -> Suitability {
    let path = path.as_ref();
    examine(path).unwrap_or_else(|e| panic!("{}: {e}; is it installed?", path.display()))
}

fn kind(suitability: &Suitability) -> Kind {
    suitability.program.as_ref().expect("a program").kind
}

fn concerns(suitability: &Suitability) -> &[Concern] {
    match &suitability.verdict {
        Verdict::NeedsFlag(concerns) => concerns,
        other => panic!("{other:?}"),
    }
}

#[test]
fn common_debian_programs_fit() {
    let programs = [
        ("/usr/bin/sqlite3", Kind::DynamicPie),
        ("/usr/bin/git", Kind::DynamicPie),
        ("/usr/lib/git-core/git", Kind::DynamicPie),
        ("/usr/bin/python3", Kind::DynamicExec),
        ("/usr/bin/gcc", Kind::DynamicExec),
        ("/bin/ls", Kind::DynamicPie),
    ];
    for (path, expected) in programs {
        let found = examined(path);
        assert_eq!(found.verdict, Verdict::Fit, "{path}");
        assert_eq!(kind(&found), expected, "{path}");
        let program = found.program.unwrap();
        assert_eq!(program.interpreter.as_deref(), Some("/lib64/ld-linux-x86-64.so.2"), "{path}");
        assert_eq!(program.forks, Forks::Watched);
        assert!(program.sealed_len_bytes <= program.file_len_bytes);
        assert!(program.memory_len_bytes > 0);
    }
}

#[test]
fn static_busybox_needs_the_flag_for_forks() {
    let found = examined("/usr/bin/busybox");
    assert_eq!(kind(&found), Kind::StaticExec);
    let [Concern::UnwatchedForks(forks)] = concerns(&found) else {
        panic!("{:?}", found.verdict);
    };
    // It is stripped, so only its instructions tell.
    assert!(matches!(forks, Forks::Guessed { .. }), "{forks:?}");
    assert!(forks.to_string().contains("a guess"));
    assert_eq!(found.open_concerns(&["reads-itself"]).len(), 1);
    assert!(found.open_concerns(&["unwatched-forks"]).is_empty());
}

#[test]
fn static_programs_are_told_apart_by_their_forks() {
    let directory = open_directory();
    let build = |name: &str, source: &str, flags: &[&str]| {
        examined(compile(directory.path(), name, source, flags))
    };
    for (name, link, expected) in
        [("exec", "-static", Kind::StaticExec), ("pie", "-static-pie", Kind::StaticPie)]
    {
        let hello = build(&format!("hello-{name}"), HELLO, &[link]);
        assert_eq!((kind(&hello), &hello.verdict), (expected, &Verdict::Fit));
        assert!(hello.notes.contains(&Note::Forks(Forks::NoneFound)));
        let threaded = build(&format!("threaded-{name}"), THREADED, &[link, "-s"]);
        assert_eq!(threaded.verdict, Verdict::Fit, "threads and system() are no forks");

        let named = build(&format!("named-{name}"), FORKING, &[link]);
        assert!(matches!(concerns(&named), [Concern::UnwatchedForks(Forks::Named { .. })]));
        let stripped = build(&format!("stripped-{name}"), FORKING, &[link, "-s"]);
        assert!(matches!(concerns(&stripped), [Concern::UnwatchedForks(Forks::Guessed { .. })]));
    }
}

#[test]
fn a_go_program_is_known_by_its_note() {
    let directory = open_directory();
    let note = r#"__asm__(".pushsection .note.go.buildid,\"a\",@note\n"
        ".long 4, 4, 4\n.ascii \"Go\\0\\0\"\n.ascii \"test\"\n.popsection\n");"#;
    let source = format!("{FORKING}{note}\n");
    let found = examined(compile(directory.path(), "go", &source, &["-static", "-s"]));
    assert_eq!(found.verdict, Verdict::Fit);
    assert_eq!(found.notes, [Note::Forks(Forks::Go)]);
}

#[test]
fn libraries_by_origin_and_stack_and_debug_are_noted() {
    let directory = open_directory();
    let flags = ["-Wl,-rpath,$ORIGIN/lib:/opt/x", "-Wl,-z,execstack", "-g"];
    let found = examined(compile(directory.path(), "noted", HELLO, &flags));
    assert_eq!(found.verdict, Verdict::Fit);
    let expected = [
        Note::FollowsItsPlace(vec!["$ORIGIN/lib".into()]),
        Note::ExecutableStack,
        Note::DebugInformation,
    ];
    assert_eq!(found.notes, expected);
    let large = format!("char big[100 << 20];\n{HELLO}");
    let found = examined(compile(directory.path(), "large", &large, &[]));
    assert!(found.notes.iter().any(|n| n.to_string().contains("memory of its own")));
}

#[test]
fn appended_data_needs_a_flag_and_is_named() {
    let directory = open_directory();
    let program = compile(directory.path(), "plain", HELLO, &[]);
    let zip_end = [b"PK\x05\x06".as_slice(), &[0; 18]].concat();
    let cases: [(&[u8], OwnData); 4] = [
        (b"my data", OwnData::Appended { len_bytes: 7, format: None }),
        (
            b"\0\0\0\0hsqs data",
            OwnData::Appended {
                len_bytes: 13,
                format: Some("a squashfs image, as in an AppImage"),
            },
        ),
        (&zip_end, OwnData::Zip),
        (b"archive MEI\x0c\x0b\x0a\x0b\x0e and numbers", OwnData::PyInstaller),
    ];
    for (index, (data, expected)) in cases.into_iter().enumerate() {
        let path = directory.path().join(format!("appended-{index}"));
        fs::copy(&program, &path).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(data).unwrap();
        let found = examined(&path);
        assert_eq!(concerns(&found), [Concern::ReadsItself(vec![expected])]);
        assert!(found.open_concerns(&["reads-itself"]).is_empty());
    }
    let path = directory.path().join("padded");
    fs::copy(&program, &path).unwrap();
    OpenOptions::new().append(true).open(&path).unwrap().write_all(&[0; 100]).unwrap();
    assert_eq!(examined(&path).verdict, Verdict::Fit, "zeros are padding");
}

#[test]
fn data_in_sections_that_are_not_loaded_needs_a_flag() {
    let directory = open_directory();
    let program = compile(directory.path(), "plain", HELLO, &[]);
    let data = directory.path().join("data");
    fs::write(&data, [7; 5000]).unwrap();
    for (section, expected) in [
        ("pydata", OwnData::PyInstaller),
        ("assets", OwnData::Section { name: "assets".into(), len_bytes: 5000 }),
    ] {
        let output = directory.path().join(section);
        let status = Command::new("objcopy")
            .arg(format!("--add-section={section}={}", data.display()))
            .args([&program, &output])
            .status()
            .expect("objcopy comes with the C compiler");
        assert!(status.success());
        assert_eq!(concerns(&examined(output)), [Concern::ReadsItself(vec![expected])]);
    }
}

#[test]
fn raised_privileges_need_a_flag() {
    let directory = open_directory();
    let program = compile(directory.path(), "plain", HELLO, &[]);
    for mode in [0o4755, 0o2755] {
        fs::set_permissions(&program, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(concerns(&examined(&program)), [Concern::DropsPrivileges]);
    }
}

#[test]
fn what_is_no_program_is_refused_with_the_reason() {
    let directory = open_directory();
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let library =
        compile(directory.path(), "lib.so", "int f(void) { return 1; }", &["-shared", "-fPIC"]);
    let object = compile(directory.path(), "object.o", HELLO, &["-c"]);
    let program = fs::read(compile(directory.path(), "plain", HELLO, &[])).unwrap();
    let mut other_machine = program.clone();
    other_machine[18] = 183;
    let mut word_32 = program.clone();
    word_32[4] = 1;
    let half = program.len() / 8;
    let pipe = directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let script = Refusal::Script { interpreter: "/bin/sh -e".into() };
    let cases = [
        (write("script", b"#! /bin/sh -e\ntrue\n"), script),
        (write("empty", b""), Refusal::NotElf),
        (write("text", b"hello"), Refusal::NotElf),
        (write("magic", b"\x7fELF"), Refusal::Damaged("it ends in its header")),
        (write("arm", &other_machine), Refusal::OtherMachine),
        (write("word32", &word_32), Refusal::OtherMachine),
        (write("half", &program[..half]), Refusal::Damaged("it is cut short")),
        (object, Refusal::NotAProgram),
        (library, Refusal::SharedLibrary),
        ("/lib/x86_64-linux-gnu/libc.so.6".into(), Refusal::SharedLibrary),
        ("/lib64/ld-linux-x86-64.so.2".into(), Refusal::SharedLibrary),
        (directory.path().into(), Refusal::NotAFile),
        (pipe, Refusal::NotAFile),
    ];
    for (path, expected) in cases {
        let found = examined(&path);
        assert_eq!(found.verdict, Verdict::Refused(expected), "{}", path.display());
        assert!(found.open_concerns(&Concern::FLAGS).is_empty());
    }
}
