#!/usr/bin/env python3
"""Run the buildspec conformance cases against a command-line tool.

usage: run-buildspec-cases.py [options] 'COMMAND TEMPLATE'

The template is split like a shell command line (no shell is involved) and
these words are replaced in it, once per case:

  {src}      a fresh directory holding the case's buildspec.yml and files
  {out}      an empty directory for the artifacts
  {env}      a file of VAR=VAL lines (empty unless the case sets some)
  {secrets}  a JSON file with the case's parameters and secrets
  {reports}  an empty directory for the reports

Example:
  run-buildspec-cases.py 'dogshore buildspec run --json --source {src}
      --artifacts {out} --env-file {env} --secrets-file {secrets}'

The result format that the tool must print is in README.md beside the cases.
The exit status is 0 when every case passed, 1 when one failed, 2 for a wrong
invocation. Python 3.8+, standard library only.
"""
import argparse
import concurrent.futures
import fnmatch
import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
DEFAULT_CASES = os.path.normpath(os.path.join(HERE, '..', 'cases', 'buildspec'))
OUTER_PHASES = ['SUBMITTED', 'QUEUED', 'PROVISIONING', 'DOWNLOAD_SOURCE',
                'FINALIZING', 'COMPLETED']
EXIT_CODES = {'SUCCEEDED': 0, 'FAILED': 1}


class Mismatch(Exception):
    pass


def check(cond, text):
    if not cond:
        raise Mismatch(text)


def short(value, limit=300):
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= limit else text[:limit] + '...'


def prepare(case_dir, case, tmp):
    src = os.path.join(tmp, 'src')
    files = os.path.join(case_dir, 'files')
    if os.path.isdir(files):
        shutil.copytree(files, src, symlinks=True)
    else:
        os.makedirs(src)
    shutil.copyfile(os.path.join(case_dir, 'buildspec.yml'),
                    os.path.join(src, 'buildspec.yml'))
    out = os.path.join(tmp, 'out')
    home = os.path.join(tmp, 'home')
    os.makedirs(out)
    os.makedirs(home)
    env_file = os.path.join(tmp, 'env.txt')
    with open(env_file, 'w', encoding='utf-8', newline='\n') as f:
        for line in case.get('env_lines', []):
            f.write(line + '\n')
    secrets = os.path.join(tmp, 'secrets.json')
    with open(secrets, 'w', encoding='utf-8') as f:
        json.dump(case.get('secrets', {}), f)
    reports = os.path.join(tmp, 'reports')
    os.makedirs(reports)
    return {'src': src, 'out': out, 'env': env_file, 'secrets': secrets, 'reports': reports}, home


def run_tool(argv, cwd, home, timeout):
    env = {'PATH': os.environ.get('PATH', '/usr/bin:/bin'), 'HOME': home,
           'LANG': 'C.UTF-8', 'LC_ALL': 'C.UTF-8', 'TMPDIR': home,
           'USER': os.environ.get('USER', 'tester')}
    for name, value in os.environ.items():
        if name.startswith(('ASAN_', 'UBSAN_', 'LSAN_', 'LLVM_PROFILE', 'LD_LIBRARY')):
            env[name] = value
    proc = subprocess.Popen(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            start_new_session=True)
    try:
        out, err = proc.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        try:
            os.killpg(proc.pid, signal.SIGKILL)
        except OSError:
            pass
        proc.communicate()
        raise Mismatch('timed out after %s s' % timeout)
    return (proc.returncode, out.decode('utf-8', 'replace'),
            err.decode('utf-8', 'replace'))


def check_phases(expect, result):
    ignore = set(expect.get('phases_ignore', OUTER_PHASES))
    got = [p for p in result['phases'] if p.get('name') not in ignore]
    want = expect['phases']
    check([p.get('name') for p in got] == [p['name'] for p in want],
          'phases are %s, expected %s' % ([p.get('name') for p in got],
                                          [p['name'] for p in want]))
    for g, w in zip(got, want):
        for key, value in w.items():
            check(g.get(key) == value, 'phase %s: %s is %r, expected %r'
                  % (w['name'], key, g.get(key), value))


def check_log(expect, log):
    lines = [l.rstrip() for l in log.replace('\r\n', '\n').split('\n')]
    pos = 0
    for want in expect.get('lines', []):
        try:
            pos = lines.index(want, pos) + 1
        except ValueError:
            where = ' (it occurs, but out of order)' if want in lines else ''
            raise Mismatch('log line %r not found%s' % (want, where))
    for want, count in expect.get('line_counts', {}).items():
        check(lines.count(want) == count, 'log line %r occurs %d times, expected %d'
              % (want, lines.count(want), count))
    for bad in expect.get('absent_lines', []):
        check(bad not in lines, 'log line %r must not occur' % bad)
    for want in expect.get('log_contains', []):
        check(want in log, 'log does not contain %r' % want)


def list_files(top):
    found = []
    for base, _dirs, names in os.walk(top):
        for name in names:
            found.append(os.path.relpath(os.path.join(base, name), top))
    return sorted(found)


def check_artifacts(expect, result, out):
    want = {a.get('identifier'): a for a in expect['artifacts']}
    got = {a.get('identifier'): a for a in result.get('artifacts', [])}
    check(set(want) == set(got), 'artifact identifiers are %s, expected %s'
          % (sorted(map(str, got)), sorted(map(str, want))))
    for ident, w in want.items():
        g = got[ident]
        if 'name' in w:
            check(g.get('name') == w['name'], 'artifact %s: name is %r, expected %r'
                  % (ident, g.get('name'), w['name']))
        names = sorted(w['files'])
        check(sorted(g.get('files', [])) == names, 'artifact %s: files are %s, expected %s'
              % (ident, short(sorted(g.get('files', []))), short(names)))
        where = g.get('dir')
        check(isinstance(where, str) and not os.path.isabs(where)
              and '..' not in where.split('/'),
              'artifact %s: dir %r is not a relative path' % (ident, where))
        top = os.path.join(out, where)
        check(list_files(top) == names, 'artifact %s: on disk are %s, expected %s'
              % (ident, short(list_files(top)), short(names)))
        for name, spec in w['files'].items():
            with open(os.path.join(top, name), 'rb') as f:
                data = f.read()
            if 'text' in spec:
                check(data == spec['text'].encode('utf-8'),
                      'artifact %s: content of %s is %s' % (ident, name, short(repr(data))))
            if 'sha256' in spec:
                check(hashlib.sha256(data).hexdigest() == spec['sha256'],
                      'artifact %s: sha256 of %s differs' % (ident, name))


def covers(got, want):
    """Is all of want in got? Objects by the members given, lists as long as each other."""
    if isinstance(want, dict):
        return isinstance(got, dict) and all(k in got and covers(got[k], v) for k, v in want.items())
    if isinstance(want, list):
        return isinstance(got, list) and len(got) == len(want) and all(map(covers, got, want))
    return got == want


def check_reports(expect, result, top):
    if 'reports' in expect:
        check(covers(result.get('reports'), expect['reports']), 'reports are %s, expected %s'
              % (short(result.get('reports'), 2000), short(expect['reports'], 2000)))
    where = os.path.join(top, 'reports')
    if 'report_files' in expect:
        check(list_files(where) == sorted(expect['report_files']),
              'report files are %s, expected %s' % (list_files(where), expect['report_files']))
    for bad in expect.get('absent_report_text', []):
        for name in list_files(top):
            with open(os.path.join(top, name), 'rb') as f:
                check(bad.encode() not in f.read(), '%s contains %r' % (name, bad))


def check_error(expect, result):
    want = expect['error']
    got = result.get('error')
    check(isinstance(got, dict), 'no "error" object in the result')
    check(got.get('code') == want.get('code', 'YAML_FILE_ERROR'),
          'error.code is %r' % got.get('code'))
    check(isinstance(got.get('message'), str) and got['message'] != '',
          'error.message is missing')
    if 'path' in want:
        check(want['path'] in str(got.get('path')), 'error.path is %r, expected to contain %r'
              % (got.get('path'), want['path']))
    line = got.get('line')
    if 'line' in want:
        check(line == want['line'], 'error.line is %r, expected %d' % (line, want['line']))
    if 'line_min' in want:
        check(isinstance(line, int) and want['line_min'] <= line <= want['line_max'],
              'error.line is %r, expected %d..%d' % (line, want['line_min'], want['line_max']))
    ran = [p.get('name') for p in result['phases'] if p.get('name') not in OUTER_PHASES]
    check(not ran, 'phases ran although the buildspec is invalid: %s' % ran)


def run_case(name, case_dir, template, timeout, keep):
    log = out_text = ''
    tmp = os.path.realpath(tempfile.mkdtemp(prefix='bscase-'))
    try:
        with open(os.path.join(case_dir, 'case.json'), encoding='utf-8') as f:
            case = json.load(f)
        expect = case['expect']
        if case.get('env_lines'):
            check('{env}' in template, 'the command template has no {env}')
        if expect.get('report_files'):
            check('{reports}' in template, 'the command template has no {reports}')
        if case.get('secrets'):
            check('{secrets}' in template, 'the command template has no {secrets}')
        values, home = prepare(case_dir, case, tmp)
        argv = []
        for word in shlex.split(template):
            for key, value in values.items():
                word = word.replace('{%s}' % key, value)
            argv.append(word)
        try:
            code, out_text, log = run_tool(argv, tmp, home, case.get('timeout', timeout))
        except OSError as e:
            raise Mismatch('cannot start: %s' % e)
        try:
            result = json.loads(out_text)
        except ValueError:
            raise Mismatch('stdout is not one JSON object: %s' % short(repr(out_text)))
        check(isinstance(result, dict) and isinstance(result.get('phases'), list),
              'the result is not an object with a "phases" array')
        check(result.get('status') in EXIT_CODES, 'status is %r' % result.get('status'))
        for p in result['phases']:
            check(p.get('status') in ('SUCCEEDED', 'FAILED')
                  and isinstance(p.get('exit_code'), int)
                  and isinstance(p.get('duration_ms'), int) and p['duration_ms'] >= 0,
                  'malformed phase %s' % short(p))
        if 'error' in expect:
            check(result['status'] == 'FAILED', 'status is %r' % result['status'])
            check_error(expect, result)
        else:
            check('error' not in result, 'unexpected error: %s' % short(result.get('error')))
        want_code = 2 if 'error' in expect else EXIT_CODES[result['status']]
        check(code == want_code, 'exit status is %d, expected %d' % (code, want_code))
        if 'status' in expect:
            check(result['status'] == expect['status'], 'status is %s, expected %s'
                  % (result['status'], expect['status']))
        if 'phases' in expect:
            check_phases(expect, result)
        check_log(expect, log)
        for bad in expect.get('absent_text', []):
            check(bad not in log and bad not in out_text, 'output contains %r' % bad)
        if 'exported_variables' in expect:
            check(result.get('exported_variables') == expect['exported_variables'],
                  'exported_variables are %s, expected %s'
                  % (short(result.get('exported_variables')), short(expect['exported_variables'])))
        if 'artifacts' in expect:
            check_artifacts(expect, result, values['out'])
        check_reports(expect, result, values['reports'])
        return name, None, log
    except Mismatch as e:
        return name, str(e), log + ('\n[stdout] ' + out_text if out_text else '')
    finally:
        if keep:
            print('kept: %s %s' % (name, tmp), file=sys.stderr)
        else:
            shutil.rmtree(tmp, ignore_errors=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('template', help='command template')
    ap.add_argument('--cases', default=DEFAULT_CASES, help='directory of cases')
    ap.add_argument('--only', action='append', metavar='GLOB', help='run matching cases only')
    ap.add_argument('--jobs', type=int, default=4)
    ap.add_argument('--timeout', type=float, default=60, help='seconds per case')
    ap.add_argument('--keep', action='store_true', help='keep the work directories')
    ap.add_argument('-v', '--verbose', action='store_true', help='show the log of failed cases')
    args = ap.parse_args()
    if not os.path.isdir(args.cases):
        ap.error('no such directory: %s' % args.cases)
    names = sorted(n for n in os.listdir(args.cases)
                   if os.path.isfile(os.path.join(args.cases, n, 'case.json')))
    if args.only:
        names = [n for n in names if any(fnmatch.fnmatch(n, '*%s*' % g) for g in args.only)]
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(max(1, args.jobs)) as pool:
        jobs = [pool.submit(run_case, n, os.path.join(args.cases, n), args.template,
                            args.timeout, args.keep) for n in names]
        for job in jobs:
            name, problem, log = job.result()
            if problem is None:
                passed += 1
                print('ok    %s' % name)
            else:
                failed += 1
                print('FAIL  %s: %s' % (name, problem))
                if args.verbose:
                    print(''.join('      | %s\n' % l for l in log.rstrip().split('\n')), end='')
            sys.stdout.flush()
    print('%d passed, %d failed' % (passed, failed))
    return 1 if failed or not names else 0


if __name__ == '__main__':
    sys.exit(main())
