"""Writes the demo's books: accounts.csv, invoices.csv, payments.csv and expected.json.

Deterministic: the same seed gives the same bytes. Every payment is made for a known reason, and
expected.json is summed from those reasons, never from matching; so it can judge a matcher.
Amounts are integer cents. All companies are fictitious and named by number.

    python3 generate.py [FOLDER]
"""

import csv
import datetime
import json
import pathlib
import random
import sys

SEED = 20260728
BOOKS = {"north": ("N", 134), "south": ("S", 133), "west": ("W", 133)}
SUPPLIERS = [f"Supplier {number:03d}" for number in range(1, 61)]
BANK_OPENING = 90_000_000
FEES = [120, 250, 480, 750, 1_250, 1_990]
FIRST_DAY = datetime.date(2026, 3, 2)

# How many invoices of a book are settled in which way; the rest are settled exactly.
UNPAID = 11
TWO_PARTS = 9
THREE_PARTS = 4
PART_ONLY = 6
WITH_FEE = 10
PAID_TWICE = 5
PAID_TWICE_UNNAMED = 2
UNNAMED = 14
WRONG_REFERENCE = 2
OVERPAID = 2
UNKNOWN = 4

ACCOUNTS = [
    ("bank", "Bank", "asset"),
    ("clearing", "Bank lines not yet explained", "asset"),
    ("payables", "Supplier invoices to pay", "liability"),
    ("bank-fees", "Bank fees", "expense"),
    ("supplier-refunds", "Paid twice, to be refunded", "asset"),
    ("suspense", "Paid without a known reason", "asset"),
    ("equity", "Equity", "equity"),
]


class Book:
    """One region's invoices and bank lines, with the reason of each."""

    def __init__(self, name, letter, count, draw):
        self.name = name
        self.letter = letter
        self.draw = draw
        self.invoices = []
        self.payments = []
        self.paid = {}
        self.totals = {"bank-fees": 0, "supplier-refunds": 0, "suspense": 0}
        self.links = 0
        self.amounts = set()
        for number in range(1, count + 1):
            self.add_invoice(number)
        self.pay()
        self.payments.sort(key=lambda line: (line["date"], line["shuffle"]))
        for number, line in enumerate(self.payments, 1):
            line["payment"] = f"PAY-{letter}-{number:04d}"

    def amount(self, low, high):
        """An amount that no other line of the book has, so that an amount can identify."""
        while True:
            cents = self.draw.randint(low, high)
            if cents not in self.amounts:
                self.amounts.add(cents)
                return cents

    def add_invoice(self, number):
        issued = FIRST_DAY + datetime.timedelta(days=self.draw.randint(0, 80))
        self.invoices.append(
            {
                "invoice": f"INV-{self.letter}-{number:04d}",
                "supplier": self.draw.choice(SUPPLIERS),
                "issued": issued,
                "due": issued + datetime.timedelta(days=30),
                "amount": self.amount(4_000, 480_000),
            }
        )

    def reference(self, invoice):
        """The invoice's number as people type it."""
        plain = invoice["invoice"]
        return self.draw.choice(
            [
                plain,
                plain.lower(),
                plain.replace("-", " "),
                plain.replace("-", ""),
                f"Payment {plain}",
                f"{plain} / {invoice['supplier']}",
                f"your ref {plain.replace('-', '/')} thank you",
            ]
        )

    def line(self, invoice, cents, reference, later=0):
        day = invoice["issued"] + datetime.timedelta(days=self.draw.randint(5, 28) + later)
        self.payments.append(
            {
                "date": day,
                "shuffle": self.draw.random(),
                "supplier": invoice["supplier"],
                "reference": reference,
                "amount": cents,
            }
        )

    def settle(self, invoice, cents):
        self.paid[invoice["invoice"]] = self.paid.get(invoice["invoice"], 0) + cents
        self.links += 1

    def pay(self):
        pool = self.invoices[:]
        self.draw.shuffle(pool)

        def take(count):
            taken, pool[:] = pool[:count], pool[count:]
            return taken

        take(UNPAID)
        for parts, invoices in ((2, take(TWO_PARTS)), (3, take(THREE_PARTS))):
            for invoice in invoices:
                left = invoice["amount"]
                for part in range(parts):
                    last = part == parts - 1
                    cents = left if last else self.draw.randint(left // 5, left // 2)
                    self.line(invoice, cents, self.reference(invoice), later=part * 7)
                    self.settle(invoice, cents)
                    left -= cents
        for invoice in take(PART_ONLY):
            cents = self.draw.randint(invoice["amount"] // 4, invoice["amount"] // 2)
            self.line(invoice, cents, self.reference(invoice))
            self.settle(invoice, cents)
        for invoice in take(WITH_FEE):
            fee = self.draw.choice(FEES)
            self.line(invoice, invoice["amount"] + fee, self.reference(invoice))
            self.settle(invoice, invoice["amount"])
            self.totals["bank-fees"] += fee
        for invoice in take(PAID_TWICE):
            for later in (0, self.draw.randint(0, 3)):
                self.line(invoice, invoice["amount"], self.reference(invoice), later)
            self.settle(invoice, invoice["amount"])
            self.totals["supplier-refunds"] += invoice["amount"]
        for invoice in take(PAID_TWICE_UNNAMED):
            self.line(invoice, invoice["amount"], self.reference(invoice))
            self.line(invoice, invoice["amount"], "monthly transfer", later=2)
            self.settle(invoice, invoice["amount"])
            self.totals["supplier-refunds"] += invoice["amount"]
        for invoice in take(UNNAMED):
            reference = self.draw.choice(["", "goods and services", "as agreed", "order March"])
            self.line(invoice, invoice["amount"], reference)
            self.settle(invoice, invoice["amount"])
        for invoice in take(WRONG_REFERENCE):
            others = [it for it in self.invoices if it["supplier"] != invoice["supplier"]]
            self.line(invoice, invoice["amount"], self.draw.choice(others)["invoice"])
            self.settle(invoice, invoice["amount"])
        for invoice in take(OVERPAID):
            cents = invoice["amount"] + 600_000 + self.draw.randint(0, 9_999)
            self.line(invoice, cents, self.reference(invoice))
            self.totals["suspense"] += cents
        for invoice in take(len(pool)):
            self.line(invoice, invoice["amount"], self.reference(invoice))
            self.settle(invoice, invoice["amount"])
        for number in range(UNKNOWN):
            stranger = {
                "supplier": f"Supplier {900 + number}",
                "issued": FIRST_DAY + datetime.timedelta(days=self.draw.randint(0, 80)),
            }
            cents = self.amount(1_000, 90_000)
            self.line(stranger, cents, self.draw.choice(["", "subscription", "INV-X-0001"]))
            self.totals["suspense"] += cents

    def openings(self):
        owed = sum(invoice["amount"] for invoice in self.invoices)
        openings = {account: 0 for account, _, _ in ACCOUNTS}
        openings.update({"bank": BANK_OPENING, "payables": -owed, "equity": owed - BANK_OPENING})
        return openings

    def expected(self):
        balances = self.openings()
        balances["bank"] -= sum(line["amount"] for line in self.payments)
        balances["payables"] += sum(self.paid.values())
        for account, cents in self.totals.items():
            balances[account] += cents
        assert sum(balances.values()) == 0 and balances["clearing"] == 0
        amounts = {invoice["invoice"]: invoice["amount"] for invoice in self.invoices}
        settled = sum(1 for invoice, cents in self.paid.items() if cents == amounts[invoice])
        return {
            "balances_cents": balances,
            "invoices": len(self.invoices),
            "invoices_matched": settled,
            "invoices_open": len(self.invoices) - settled,
            "payments": len(self.payments),
            "payments_matched": self.links,
        }


def write(path, header, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    draw = random.Random(SEED)
    books = [Book(name, letter, count, draw) for name, (letter, count) in BOOKS.items()]
    write(
        folder / "accounts.csv",
        ["book", "account", "name", "kind", "opening_cents"],
        (
            [book.name, account, name, kind, book.openings()[account]]
            for book in books
            for account, name, kind in ACCOUNTS
        ),
    )
    write(
        folder / "invoices.csv",
        ["book", "invoice", "supplier", "issued", "due", "amount_cents"],
        (
            [book.name, it["invoice"], it["supplier"], it["issued"], it["due"], it["amount"]]
            for book in books
            for it in book.invoices
        ),
    )
    write(
        folder / "payments.csv",
        ["book", "payment", "date", "supplier", "reference", "amount_cents"],
        (
            [book.name, it["payment"], it["date"], it["supplier"], it["reference"], it["amount"]]
            for book in books
            for it in book.payments
        ),
    )
    expected = {book.name: book.expected() for book in books}
    text = json.dumps(expected, indent=2, sort_keys=True) + "\n"
    (folder / "expected.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
