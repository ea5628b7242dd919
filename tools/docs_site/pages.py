"A notebook as a page of the site: its prose, examples and outputs as they are, its exported names as a reference"
import base64, dataclasses, inspect, json, re
from functools import cached_property
from importlib import import_module
from pathlib import Path
from fastcore.docments import docments

NBS = Path('nbs')
SOURCE = 'https://github.com/lipsync-kit/lipsync_kit/blob/main'
INSTALLS = "find_spec('lipsync_kit') is None"    # the first cell of a tutorial, for Colab
PICTURES = ('image/png', 'png'), ('image/jpeg', 'jpg')

def notebooks()->list[Path]: return sorted(p for p in NBS.rglob('*.ipynb') if not any(q[0] in '._' for q in p.parts))

def fenced(text:str, language:str='')->str: return f'```{language}\n{text.strip()}\n```\n'

def shown(text:str)->str: return fenced(text.rstrip(), '{ .text .output .no-copy }')

def cell(text)->str:
    "Text in a cell of a table"
    return ' '.join(str(text).split()).replace('|', '\\|')

def table(heads, rows)->str:
    rows = [f"| {' | '.join(map(cell, r))} |" for r in (heads, ['---'] * len(heads), *rows)]
    return '\n'.join(rows) + '\n'

def _kind(anno)->str:
    if anno is inspect.Parameter.empty or anno is None: return ''
    if getattr(anno, '__metadata__', None): anno = anno.__origin__
    name = anno if isinstance(anno, str) else inspect.formatannotation(anno)
    return re.sub(r'\b(?:lipsync_kit|numpy|collections|typing|pathlib|fractions)\.(?:\w+\.)*', '', name)

def _default(value)->str:
    if value is inspect.Parameter.empty or isinstance(value, dataclasses._MISSING_TYPE): return ''
    if callable(value): return getattr(value, '__name__', '')
    text = repr(value)
    return text if len(text) <= 40 and ' at 0x' not in text else '...'

def _code(text:str)->str: return f'`{text}`' if text else ''

def _own(name:str)->bool: return name[:1] != '_'

def _comment(anno, found:dict)->str:
    "What is said of an argument; an option says it itself"
    says = [m.help for m in getattr(anno, '__metadata__', ()) if hasattr(m, 'help')]
    return found.get('docment') or ' '.join(says)

def _signature(sym, name:str)->str:
    try: params = list(inspect.signature(sym).parameters.values())
    except (ValueError, TypeError): return name
    def shown(p):
        stars = {p.VAR_POSITIONAL: '*', p.VAR_KEYWORD: '**'}.get(p.kind, '')
        return stars + p.name + (f'={_default(p.default)}' if p.default is not p.empty else '')
    words = [shown(p) for p in params if p.name not in ('self', 'cls')]
    line = f"{name}({', '.join(words)})"
    return line if len(line) <= 88 else f'{name}(\n' + ''.join(f'    {w},\n' for w in words) + ')'

def arguments(sym)->str:
    "Arguments, or fields, with types, defaults and comments, and what comes back"
    try: found = docments(sym, full=True)
    except Exception: return ''
    back = found.pop('return', None)
    found = {k: v for k, v in found.items() if k not in ('self', 'cls') and _own(k)}
    rows = [(f'`{k}`', _code(_kind(v['anno'])), _code(_default(v['default'])), _comment(v['anno'], v)) for k, v in found.items()]
    text = table(('name', 'type', 'default', 'what it is'), rows) if rows else ''
    kind = _kind(back['anno']) if back else ''
    if kind and not inspect.isclass(sym):
        text += f"\n*Returns* `{kind}`" + (f": {back['docment']}" if back['docment'] else '') + '\n'
    return text

def methods(sym)->str:
    "The public methods and properties of a class that say what they do"
    rows = []
    for name, m in vars(sym).items():
        f = m.fget if isinstance(m, property) else getattr(m, '__func__', getattr(m, 'func', m))
        says = inspect.getdoc(f) if callable(f) else None
        if not _own(name) or not says or inspect.isclass(f): continue
        rows.append((f'`{name if isinstance(m, property) else _signature(f, name)}`', says.split('\n')[0]))
    return '\n' + table(('method', 'what it does'), rows) if rows else ''

def documented(sym, level:int=3, name:str='')->str:
    "The reference of a function or class"
    name = name or sym.__name__
    says = inspect.getdoc(sym) if (sym.__doc__ or '') and not (sym.__doc__ or '').startswith(f'{name}(') else ''
    try: line = inspect.getsourcelines(sym)[1]
    except (OSError, TypeError): line = 0
    path = sym.__module__.replace('.', '/')
    text = f"{'#' * level} {name} {{ .api }}\n\n" + fenced(_signature(sym, name), 'python') + '\n'
    if says: text += f'{says}\n\n'
    text += arguments(sym) + (methods(sym) if inspect.isclass(sym) else '')
    return text + (f'\n[source]({SOURCE}/{path}.py#L{line}){{ .source }}\n' if line else '')

class Links:
    "Where modules and names have their page"
    def __init__(self, found):
        self.modules = {p.module: p.place for p in found if p.module}
        names = {}
        for p in found:
            for n in p.names: names.setdefault(n, set()).add(p.place)
        self.names = {n: next(iter(at)) for n, at in names.items() if len(at) == 1}

    def place(self, name:str)->str|None:
        if name in self.modules: return self.modules[name]
        bare = name.removesuffix('()')
        telling = bare != name or '_' in bare or (bare[:1].isupper() and bare[1:2].islower())
        return f'{self.names[bare]}#{bare.lower()}' if telling and bare in self.names else None

    def on(self, text:str, place:str)->str:
        "The prose with names as links, outside of code, headings and links"
        up, res, inside = '../' * place.count('/'), [], False
        def linked(m):
            to = self.place(m[1])
            return f'[{m[0]}]({up}{to})' if to and to.split('#')[0] != place else m[0]
        for line in text.split('\n'):
            if line.lstrip().startswith('```'): inside = not inside
            plain = inside or line.startswith('#')
            first = re.match(r'\|[^|]*\|', line)[0] if line.startswith('|') and line.count('|') > 1 else ''   # names what the row is of
            res.append(line if plain else first + re.sub(r'(?<![\[`])`([A-Za-z_][\w.]*(?:\(\))?)`(?![\]`])', linked, line[len(first):]))
        return '\n'.join(res)

class Page:
    "A notebook"
    def __init__(self, path:Path):
        self.path, cells = path, json.loads(path.read_text())['cells']
        self.cells = cells[next(i for i, c in enumerate(cells) if self.source(c).strip()):]
        rel = path.relative_to(NBS)
        self.place = str(rel.with_name(re.sub(r'^\d+[a-z]?_', '', rel.stem) + '.md'))

    @cached_property
    def module(self)->str:
        found = re.search(r'#\| default_exp (\S+)', '\n'.join(self.source(c) for c in self.cells[:4]))
        return found[1] if found else ''

    @cached_property
    def code(self): return import_module(f'lipsync_kit.{self.module}') if self.module else None

    @cached_property
    def names(self)->list[str]:
        "Functions and classes that the page exports"
        return [n for c in self.cells if self.directives(c) & {'export', 'exports'} for n in self.defined(c)]

    @property
    def title(self)->str: return self.module or self.source(self.cells[0]).split('\n')[0].removeprefix('# ')

    @staticmethod
    def source(c)->str: return ''.join(c['source'])

    @classmethod
    def directives(cls, c)->set[str]:
        if c['cell_type'] != 'code': return set()
        return {re.sub(r'\s*:\s*', ':', l[2:].strip()).split()[0] for l in cls.source(c).splitlines() if l[:2] == '#|' and l[2:].strip()}

    @classmethod
    def defined(cls, c)->list[str]:
        return [n for n in re.findall(r'^(?:async def|def|class) (\w+)', cls.source(c), re.M) if _own(n)]

    def outputs(self, c, dest:Path, i:int):
        for j, o in enumerate(c.get('outputs', [])):
            data = o.get('data', {})
            if 'text' in o: yield shown(''.join(o['text']))
            elif picture := next(((k, ext) for k, ext in PICTURES if k in data), None):
                f = dest.with_name(f'{dest.stem}_{i}_{j}.{picture[1]}')
                f.write_bytes(base64.b64decode(''.join(data[picture[0]])))
                about = ''.join(data.get('text/plain', '')).split('\n')[0]
                yield f"![{about if not about.startswith('<') and len(about) < 80 else ''}]({f.name})\n"
            elif text := data.get('text/markdown') or data.get('text/html'): yield ''.join(text) + '\n'
            elif 'text/plain' in data: yield shown(''.join(data['text/plain']))

    def parts(self, dest:Path, links):
        for i, c in enumerate(self.cells):
            text, told = self.source(c), self.directives(c)
            if c['cell_type'] == 'markdown': yield self.prose(text, i, links)
            elif told & {'export', 'exports'}:
                for n in self.defined(c): yield documented(getattr(self.code, n))
            elif c['cell_type'] == 'code' and not told & {'hide', 'exporti', 'default_exp'} and INSTALLS not in text:
                shown = '\n'.join(l for l in text.splitlines() if not l.startswith('#|'))
                if 'echo:false' not in told and shown.strip(): yield fenced(shown, 'python')
                yield from self.outputs(c, dest, i + 1)

    def prose(self, text:str, i:int, links)->str:
        if i == 0:
            title, *more = text.split('\n')
            says = ' '.join(l.lstrip('> ') for l in more if l.strip())
            text = f'# {self.title}\n\n' + (f'*{says}*\n' if says else '')
        text = re.sub(r'\]\(([\w./-]+)\.ipynb(#[\w-]+)?\)', self.link, text)
        text = re.sub(r'\[!\[Open in Colab\]\([^)]*\)\]\(([^)]*)\)', r'[Open in Colab](\1){ .button .plain }', text)
        return links.on(text.strip(), self.place) + '\n' if links else text.strip() + '\n'

    @staticmethod
    def link(m)->str:
        "A link to another notebook, as one to its page"
        *folders, name = m[1].split('/')
        return f"]({'/'.join([*folders, re.sub(r'^[0-9]+[a-z]?_', '', name)])}.md{m[2] or ''})"

    def write(self, dest:Path, links):
        dest.parent.mkdir(parents=True, exist_ok=True)
        dest.write_text('\n'.join(self.parts(dest, links)))
