"The contents of the site, in the order of what a reader wants"
from pathlib import Path
from .pages import Page

TUTORIALS = 'quickstart widgets motion measure repair avatar gaussian_head training wav2lip musetalk latentsync liveportrait vasa echomimic'.split()
HOWTO = 'cookbook which_model coming_from troubleshooting responsible_use gallery messages'.split()
# what a caller of the package meets; the other rooms are internals
ROOMS = dict(pipe='Making videos', motion='Motion', speech='Voices and recognition', avatar='Avatars', effects='Effects', metrics='Measuring',
             media='Media files', audio='Sound', faces='Faces', live='Live', batch='Batches', train='Training', select='Choosing a model',
             hub='Weights', trust='Marks and manifests', widgets='Widgets')
INNER = dict(models='Models', nn='Networks', cli='Command line', webapp='App')

def title(out:Path, place:str)->str: return (out/place).read_text().split('\n')[0].removeprefix('# ').split(' {')[0]

def about(page:Page)->str:
    lines = page.source(page.cells[0]).split('\n')[1:]
    return ' '.join(l.lstrip('> ') for l in lines if l.strip())

def tutorials_index(tutorials:list[Page], out:Path):
    "A card for each tutorial, with its first picture"
    text = '# Tutorials\n\n*Read in order, or take the one you need; each opens in Colab and runs without this site*\n\n<div class="cards">\n'
    for p in tutorials:
        pictures = sorted((out/'tutorials').glob(f'{Path(p.place).stem}_*_*.*'), key=lambda f: int(f.stem.split('_')[-2]))
        picture = f'<img src="{pictures[0].name}" alt="">' if pictures else ''
        text += f'<a class="card" href="{Path(p.place).stem}.html">{picture}<b>{p.title}</b><span>{about(p)}</span></a>\n'
    (out/'tutorials'/'index.md').write_text(text + '</div>\n')

def howto_index(places:list[str], out:Path):
    def line(place):
        head, _, says, *_ = (out/place).read_text().split('\n')
        return f"- [{head.removeprefix('# ')}]({Path(place).name}): {says.strip('*')}"
    (out/'howto'/'index.md').write_text('# How to\n\n*Short answers to one question each*\n\n' + '\n'.join(map(line, places)) + '\n')

def in_rooms(found:list[Page], rooms:dict)->list:
    "A section for each room"
    res = []
    for room, name in rooms.items():
        inside = [{p.module: p.place} for p in found if p.module and p.place.split('/')[0] == room]
        if inside: res.append({name: inside})
    return res

def contents(found:list[Page], out:Path)->list:
    by_stem = {Path(p.place).stem: p for p in found if p.place.startswith('tutorials/')}
    tutorials = [by_stem[n] for n in TUTORIALS if n in by_stem] + [p for n, p in by_stem.items() if n not in TUTORIALS]
    howto = [f'howto/{n}.md' for n in HOWTO if (out/f'howto/{n}.md').exists()]
    tutorials_index(tutorials, out)
    howto_index(howto, out)
    top = [p for p in found if '/' not in p.place and p.module]
    commands = sorted((out/'reference'/'commands').glob('*.md'), key=lambda f: (f.stem != 'index', f.stem))
    reference = ['reference/index.md',
                 {'Command line': [f'reference/commands/{f.name}' if f.stem == 'index' else {f.stem: f'reference/commands/{f.name}'} for f in commands]},
                 {'Python': 'reference/python.md'}, {'Options': 'reference/options.md'}, {'Models': 'reference/models.md'},
                 {'Glossary': 'glossary.md'}, *in_rooms(found, ROOMS)]
    return [{'Start': ['index.md', {'Overview': 'overview.md'}]},
            {'Tutorials': ['tutorials/index.md', *({p.title: p.place} for p in tutorials)]},
            {'How to': ['howto/index.md', *({title(out, p): p} for p in howto)]},
            {'Reference': reference},
            {'Internals': ['internals.md', {'Foundations': [{p.module: p.place} for p in top]}, *in_rooms(found, INNER)]}]
