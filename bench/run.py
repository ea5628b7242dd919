"Runs every benchmark beside this file in a process of its own and prints what each says; `python bench/run.py portrait` runs those with that word in their name."
import subprocess, sys
from pathlib import Path

here = Path(__file__).parent
for script in sorted(p for p in here.glob('*.py') if p.name not in ('run.py', 'measure.py') and all(w in p.stem for w in sys.argv[1:])):
    print(f'\n== {script.stem}', flush=True)
    subprocess.run([sys.executable, str(script)], cwd=here.parent)
