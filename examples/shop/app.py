"""The shop: Starlette for pages, Authlib for signing in, Segment's SDK for events. Nothing in here is made for Regulars.

SHOP_CREDENTIALS=home/credentials.json granian --interface asgi --factory --port 8001 examples.shop.app:app
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

import httpx2
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.starlette_client import OAuth
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from .products import CATEGORIES, PRODUCTS, Product
from .settings import Settings, from_environment
from .tracking import Tracking
from .visit import LoginContext

HERE = Path(__file__).parent
POLICY = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"


def app() -> Starlette:
    """The shop as its environment says (see `settings`)."""
    return Shop(from_environment()).app()


class Shop:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.tracking = Tracking(settings)
        self.pages = Jinja2Templates(HERE / "templates")
        self.regulars = OAuth().register(
            "regulars",
            server_metadata_url=f"{settings.issuer}.well-known/openid-configuration",
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            client_kwargs={"scope": "openid profile email", "code_challenge_method": "S256", "timeout": 20},
        )

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/", self.shelves),
                Route("/products/{slug}", self.product),
                Route("/pictures/{slug}.svg", self.picture),
                Route("/basket", self.basket),
                Route("/basket", self.add, methods=["POST"]),
                Route("/order", self.order, methods=["POST"]),
                Route("/signin", self.sign_in),
                Route("/callback", self.callback),
                Route("/account", self.account),
                Route("/signout", self.sign_out),
                Route("/healthz", self.health),
                Mount("/static", StaticFiles(directory=HERE / "static"), name="static"),
            ],
            middleware=[
                Middleware(
                    SessionMiddleware,
                    secret_key=self.settings.cookie_secret,
                    session_cookie="harbour_and_pine",
                    https_only=self.settings.home.startswith("https://"),
                ),
            ],
            exception_handlers={OAuthError: self.not_signed_in, httpx2.HTTPError: self.regulars_unreachable},
            lifespan=self.lifespan,
        )

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        yield
        self.tracking.close()

    async def shelves(self, request: Request) -> Response:
        """All products, or one category's."""
        category = request.query_params.get("category", "")
        shown = [each for each in PRODUCTS.values() if category in ("", each.category)]
        self.tracking.page(LoginContext(request), category.capitalize() or "Home", request.url.path)
        return self.show(request, "shelves.html", products=shown, category=category)

    async def product(self, request: Request) -> Response:
        product = self.known(request)
        self.tracking.viewed(LoginContext(request), product)
        return self.show(request, "product.html", product=product)

    async def picture(self, request: Request) -> Response:
        """One drawing per category, in the product's colour."""
        product = self.known(request)
        drawing = self.pages.get_template(f"pictures/{product.category}.svg").render(colour=product.colour)
        return Response(drawing, media_type="image/svg+xml", headers={"Cache-Control": "max-age=3600"})

    async def basket(self, request: Request) -> Response:
        return self.show(request, "basket.html")

    async def add(self, request: Request) -> Response:
        product = PRODUCTS.get(str((await request.form()).get("product")))
        if product is None:
            raise HTTPException(404)
        visit = LoginContext(request)
        visit.put_into_basket(product)
        self.tracking.added(visit, product)
        return RedirectResponse("/basket", 303)

    async def order(self, request: Request) -> Response:
        visit = LoginContext(request)
        bought = visit.basket
        if not bought:
            return RedirectResponse("/basket", 303)
        order_id = f"HP-{secrets.token_hex(4).upper()}"
        visit.empty_basket()
        self.tracking.ordered(visit, order_id, bought)
        return self.show(request, "ordered.html", order_id=order_id, bought=bought)

    async def sign_in(self, request: Request) -> Response:
        redirect: Response = await self.regulars.authorize_redirect(request, self.settings.callback)
        return redirect

    async def callback(self, request: Request) -> Response:
        """Authlib swaps the code for tokens and checks state, verifier, nonce, signature, issuer and audience."""
        token = await self.regulars.authorize_access_token(request)
        visit = LoginContext(request)
        visit.sign_in(dict(token["userinfo"]))
        self.tracking.signed_in(visit)
        return RedirectResponse("/account", 303)

    async def account(self, request: Request) -> Response:
        visit = LoginContext(request)
        if not visit.customer:
            return RedirectResponse("/signin", 303)
        return self.show(request, "account.html", claims=visit.claims)

    async def sign_out(self, request: Request) -> Response:
        """Here and at Regulars, so that the next person at this browser starts fresh."""
        LoginContext(request).sign_out()
        query = urlencode({"client_id": self.settings.client_id, "returnTo": self.settings.home})
        return RedirectResponse(f"{self.settings.issuer}v2/logout?{query}", 303)

    async def health(self, request: Request) -> Response:
        return JSONResponse({"ready": True})

    async def not_signed_in(self, request: Request, error: Exception) -> Response:
        """The customer refused, waited too long, or opened an old tab: show a message and a link back."""
        return self.show(request, "not_signed_in.html", 400, error=error)

    async def regulars_unreachable(self, request: Request, error: Exception) -> Response:
        return self.show(request, "not_signed_in.html", 503, error=None)

    def known(self, request: Request) -> Product:
        product = PRODUCTS.get(request.path_params["slug"])
        if product is None:
            raise HTTPException(404)
        return product

    def show(self, request: Request, page: str, status: int = 200, **context: object) -> Response:
        context = {"visit": LoginContext(request), "categories": CATEGORIES, **context}
        headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "same-origin"}
        return self.pages.TemplateResponse(request, page, context, status_code=status, headers=headers)
