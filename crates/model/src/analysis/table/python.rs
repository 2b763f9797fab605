//! Python at run time, and its servers and frameworks.

use super::{BASE, CERTAIN, HINT, LIKELY, POSSIBLE, Pattern};

pub(super) const TABLE: &[Pattern] = &[
    Pattern {
        id: "python-missing-module",
        title: "The Python module {module} is not installed",
        texts: &[
            "ModuleNotFoundError: No module named '{module}'",
            "ImportError: No module named {module}",
            ": No module named {module}",
            "ModuleNotFoundError: No module named {module}",
        ],
        fix: "Add the package that has {module} to requirements.txt or pyproject.toml and commit it (cv2 is in opencv-python-headless, PIL in Pillow, dotenv in python-dotenv). A module of your own has to be below the folder that the app starts in.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "python-circular-import",
        title: "Two modules import each other, and {name} is not there yet",
        texts: &[
            "cannot import name '{name}' from partially initialized module",
            "module '{module}' has no attribute '{name}' (most likely due to a circular import)",
        ],
        fix: "Move what both need into a third module, or import {name} inside the function that uses it. A file of your own that is named like a library does the same.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "python-import-name",
        title: "The module {module|that is imported} has no {name}",
        texts: &[
            "ImportError: cannot import name '{name}' from '{module}'",
            "ImportError: cannot import name '{name}'",
        ],
        unless: &["partially initialized"],
        fix: "Pin the version of the package that has {name}, or change the import: newer versions have moved it.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "python-numpy-abi",
        title: "A package was built for another version of NumPy",
        texts: &[
            "A module that was compiled using NumPy 1.x cannot be run in",
            "numpy.dtype size changed, may indicate binary incompatibility",
            "numpy.core.multiarray failed to import",
        ],
        fix: "Pin `numpy<2`, or update the packages that use it so that they fit together.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "python-syntax",
        title: "A file of the app is no valid Python: {what}",
        texts: &[
            "SyntaxError: {what*}",
            "IndentationError: {what*}",
            "TabError: {what*}",
        ],
        near: &["  File \"", "Sorry: "],
        fix: "Correct the line that is shown. If it is new syntax, such as match or an f-string with quotes inside, name a newer version in .python-version.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "python-database-driver",
        title: "The driver for the database is not installed",
        texts: &[
            "Error loading psycopg2 or psycopg module",
            "Error loading psycopg2 module",
            "Error loading MySQLdb module",
            "Did you install mysqlclient?",
        ],
        fix: "Add psycopg[binary] for PostgreSQL or mysqlclient for MySQL to the requirements.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "gunicorn-app",
        title: "gunicorn does not find {attribute} in {module}",
        texts: &["Failed to find attribute '{attribute}' in '{module}'"],
        fix: "Name the app as MODULE:NAME in the start command; the module {module} has to define {attribute} at its top level.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "gunicorn-timeout",
        title: "A worker of gunicorn took too long and was killed",
        texts: &[
            "[CRITICAL] WORKER TIMEOUT (pid:{pid#})",
            "WORKER TIMEOUT (pid:{pid#})",
        ],
        fix: "Look at what the request does; work that takes longer than 30 s belongs into a background process, or needs `--timeout` and threads (`--worker-class gthread`).",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "gunicorn-worker",
        title: "A worker of gunicorn failed while it started",
        texts: &[
            "Worker failed to boot",
            "Worker (pid:{pid#}) exited with code {code#}",
        ],
        fix: "Look at the exception above it: the app's module could not be imported.",
        confidence: HINT,
        ..BASE
    },
    Pattern {
        id: "uvicorn-app",
        title: "uvicorn cannot load the app {name}",
        texts: &[
            "Error loading ASGI app. Could not import module \"{name}\"",
            "Error loading ASGI app. Attribute \"{name}\" not found in module",
            "Error loading ASGI app. Import string \"{name}\" must be in format",
        ],
        fix: "Name it as MODULE:NAME as seen from the folder that it starts in, such as main:app or src.main:app, and check that the file is in the image.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "flask-app",
        title: "Flask does not find the app",
        texts: &[
            "Could not locate a Flask application",
            "Failed to find Flask application or factory in module",
            "Error: Could not import '{module}'",
            "Error: While importing '{module}', an ImportError was raised",
        ],
        fix: "Set FLASK_APP to the module with the app, and in production start it with gunicorn: `gunicorn MODULE:app`.",
        confidence: CERTAIN,
        more: 2,
        ..BASE
    },
    Pattern {
        id: "streamlit-file",
        title: "Streamlit does not find {file}",
        texts: &["Error: Invalid value: File does not exist: {file}"],
        fix: "Name the file in the start command as it is in the repository, from its top folder.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "celery-broker",
        title: "Celery does not reach its broker {broker}",
        texts: &[
            "consumer: Cannot connect to {broker*}: ",
            "kombu.exceptions.OperationalError: {broker*}",
        ],
        fix: "Set the variable with the broker's address (often CELERY_BROKER_URL or REDIS_URL) to one that is reached from here.",
        confidence: LIKELY,
        passes: true,
        ..BASE
    },
    Pattern {
        id: "celery-app",
        title: "Celery cannot load the app",
        texts: &[
            "Unable to load celery application",
            "Error: Invalid value for '-A' / '--app'",
        ],
        fix: "Name the module that has the app after `-A`, as seen from the folder that the worker starts in.",
        confidence: CERTAIN,
        more: 2,
        ..BASE
    },
    Pattern {
        id: "django-apps-not-ready",
        title: "Models are used before Django has loaded its apps",
        texts: &["AppRegistryNotReady: {what*}"],
        fix: "Call django.setup() before models are imported; in asgi.py import routing and models after get_asgi_application().",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "python-template",
        title: "The template {template} does not exist",
        texts: &[
            "jinja2.exceptions.TemplateNotFound: {template}",
            "django.template.exceptions.TemplateDoesNotExist: {template}",
        ],
        fix: "Commit {template} below the folder of templates, with the same upper and lower case; .dockerignore must not leave it out.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "python-attribute",
        title: "The module {module} has no {attribute}",
        texts: &["AttributeError: module '{module}' has no attribute '{attribute}'"],
        unless: &["circular import"],
        fix: "Pin the version of {module} that has {attribute}. A file of your own named {module}.py hides the library.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "python-event-loop",
        title: "Asynchronous code is called from a running loop or outside of one",
        texts: &[
            "RuntimeError: asyncio.run() cannot be called from a running event loop",
            "RuntimeError: no running event loop",
            "RuntimeError: This event loop is already running",
            "RuntimeError: There is no current event loop in thread",
            "RuntimeError: Event loop is closed",
        ],
        fix: "Use `await` inside of asynchronous functions, and asyncio.run() once only, at the top.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "python-none",
        title: "The code uses {attribute|an attribute} of a value that is None",
        texts: &[
            "AttributeError: 'NoneType' object has no attribute '{attribute}'",
            "TypeError: 'NoneType' object is not {attribute}",
        ],
        fix: "Look at the shown line: what comes before it is None there, often a variable or an answer that is missing.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "python-exception",
        title: "Python raised {what}",
        texts: &[
            "TypeError: {what*}",
            "ValueError: {what*}",
            "NameError: {what*}",
            "AttributeError: {what*}",
            "KeyError: {what*}",
            "IndexError: {what*}",
            "AssertionError: {what*}",
            "RuntimeError: {what*}",
            "UnicodeDecodeError: {what*}",
            "NotImplementedError: {what*}",
        ],
        near: &["Traceback (most recent call last)", "  File \""],
        fix: "Look at the shown line of the app, where it was raised.",
        confidence: POSSIBLE,
        ..BASE
    },
];
