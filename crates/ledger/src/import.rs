mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::database::{SCHEMA, options};
use crate::error::{FieldError, OpeningError};
use crate::posting::{BANK, CLEARING, PAYABLES};
use crate::{AccountCode, Book, InvoiceNumber, LoadError, PaymentNumber};
use table::{Row, Table};

/// Makes a database from `accounts.csv`, `invoices.csv` and `payments.csv` in a folder. Each bank
/// line leaves the bank account and waits on the clearing account until it is explained.
///
/// All or nothing: the file appears only when every line was accepted, with mode 0600. Fails when
/// the file exists, and on the first field that is not what its column promises, naming file, line
/// and column.
pub async fn load(db: &Path, csv_dir: &Path) -> Result<(), LoadError> {
    let books = Books::read(csv_dir)?;
    create_empty(db)?;
    let written = books.write(db).await;
    if written.is_err() {
        for suffix in ["", "-wal", "-shm"] {
            let mut path = db.as_os_str().to_owned();
            path.push(suffix);
            // What cannot be removed is an empty database that `serve` refuses.
            let _ = std::fs::remove_file(PathBuf::from(path));
        }
    }
    written.map_err(|source| LoadError::Database {
        path: db.to_owned(),
        source,
    })
}

fn create_empty(db: &Path) -> Result<(), LoadError> {
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(db);
    match created {
        Ok(_) => Ok(()),
        Err(source) if source.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(LoadError::Exists(db.to_owned()))
        }
        Err(source) => Err(LoadError::Io {
            path: db.to_owned(),
            source,
        }),
    }
}

struct Account {
    book: Book,
    account: AccountCode,
    name: String,
    kind: String,
    opening: i64,
}

struct Invoice {
    book: Book,
    invoice: InvoiceNumber,
    supplier: String,
    issued: String,
    due: String,
    amount: i64,
}

struct Payment {
    book: Book,
    payment: PaymentNumber,
    date: String,
    supplier: String,
    reference: String,
    amount: i64,
}

struct Books {
    accounts: Vec<Account>,
    invoices: Vec<Invoice>,
    payments: Vec<Payment>,
}

impl Books {
    fn read(folder: &Path) -> Result<Self, LoadError> {
        let accounts_path = folder.join("accounts.csv");
        let mut seen = BTreeSet::new();
        let accounts = Table::open(
            &accounts_path,
            &["book", "account", "name", "kind", "opening_cents"],
        )?
        .rows(|row| account(row, &mut seen))?;
        let books = accounts
            .iter()
            .map(|account| account.book.clone())
            .collect::<BTreeSet<_>>();
        let mut seen = BTreeSet::new();
        let invoices = Table::open(
            &folder.join("invoices.csv"),
            &[
                "book",
                "invoice",
                "supplier",
                "issued",
                "due",
                "amount_cents",
            ],
        )?
        .rows(|row| invoice(row, &books, &mut seen))?;
        let mut seen = BTreeSet::new();
        let payments = Table::open(
            &folder.join("payments.csv"),
            &[
                "book",
                "payment",
                "date",
                "supplier",
                "reference",
                "amount_cents",
            ],
        )?
        .rows(|row| payment(row, &books, &mut seen))?;
        let read = Self {
            accounts,
            invoices,
            payments,
        };
        for book in &books {
            read.check_opening(book)
                .map_err(|problem| LoadError::Opening {
                    path: accounts_path.clone(),
                    book: book.clone(),
                    problem,
                })?;
        }
        Ok(read)
    }

    fn check_opening(&self, book: &Book) -> Result<(), OpeningError> {
        let openings = self
            .accounts
            .iter()
            .filter(|account| account.book == *book)
            .map(|account| (account.account.as_str(), account.opening))
            .collect::<BTreeMap<_, _>>();
        for needed in [BANK, CLEARING] {
            if !openings.contains_key(needed) {
                return Err(OpeningError::Missing(needed));
            }
        }
        let payables = *openings
            .get(PAYABLES)
            .ok_or(OpeningError::Missing(PAYABLES))?;
        let sum = openings.values().sum::<i64>();
        if sum != 0 {
            return Err(OpeningError::Unbalanced(sum));
        }
        let invoices = self
            .invoices
            .iter()
            .filter(|invoice| invoice.book == *book)
            .map(|invoice| invoice.amount)
            .sum::<i64>();
        if payables != -invoices {
            return Err(OpeningError::Payables { payables, invoices });
        }
        Ok(())
    }

    async fn write(&self, db: &Path) -> sqlx::Result<()> {
        let mut connection = options(db).connect().await?;
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(SCHEMA).execute(&mut *transaction).await?;
        for account in &self.accounts {
            insert_account(&mut transaction, account).await?;
        }
        for invoice in &self.invoices {
            insert_invoice(&mut transaction, invoice).await?;
        }
        for payment in &self.payments {
            insert_payment(&mut transaction, payment).await?;
        }
        transaction.commit().await?;
        connection.close().await
    }
}

fn account(row: &Row<'_>, seen: &mut BTreeSet<(Book, AccountCode)>) -> Result<Account, LoadError> {
    let read = Account {
        book: row.code("book")?,
        account: row.code("account")?,
        name: row.text("name", 1, 80)?,
        kind: row.text("kind", 1, 16)?,
        opening: row.cents("opening_cents")?,
    };
    if !["asset", "liability", "equity", "expense"].contains(&read.kind.as_str()) {
        return Err(row.refuse("kind", FieldError::AccountKind));
    }
    match seen.insert((read.book.clone(), read.account.clone())) {
        true => Ok(read),
        false => Err(row.refuse("account", FieldError::Repeated)),
    }
}

fn invoice(
    row: &Row<'_>,
    books: &BTreeSet<Book>,
    seen: &mut BTreeSet<(Book, InvoiceNumber)>,
) -> Result<Invoice, LoadError> {
    let read = Invoice {
        book: row.book(books)?,
        invoice: row.code("invoice")?,
        supplier: row.text("supplier", 1, 80)?,
        issued: row.date("issued")?,
        due: row.date("due")?,
        amount: row.positive_cents("amount_cents")?,
    };
    match seen.insert((read.book.clone(), read.invoice.clone())) {
        true => Ok(read),
        false => Err(row.refuse("invoice", FieldError::Repeated)),
    }
}

fn payment(
    row: &Row<'_>,
    books: &BTreeSet<Book>,
    seen: &mut BTreeSet<(Book, PaymentNumber)>,
) -> Result<Payment, LoadError> {
    let read = Payment {
        book: row.book(books)?,
        payment: row.code("payment")?,
        date: row.date("date")?,
        supplier: row.text("supplier", 1, 80)?,
        reference: row.text("reference", 0, 140)?,
        amount: row.positive_cents("amount_cents")?,
    };
    match seen.insert((read.book.clone(), read.payment.clone())) {
        true => Ok(read),
        false => Err(row.refuse("payment", FieldError::Repeated)),
    }
}

async fn insert_account(to: &mut SqliteConnection, account: &Account) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO account VALUES (?, ?, ?, ?, ?)")
        .bind(account.book.as_str())
        .bind(account.account.as_str())
        .bind(&account.name)
        .bind(&account.kind)
        .bind(account.opening)
        .execute(to)
        .await
        .map(drop)
}

async fn insert_invoice(to: &mut SqliteConnection, invoice: &Invoice) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO invoice VALUES (?, ?, ?, ?, ?, ?, 0)")
        .bind(invoice.book.as_str())
        .bind(invoice.invoice.as_str())
        .bind(&invoice.supplier)
        .bind(&invoice.issued)
        .bind(&invoice.due)
        .bind(invoice.amount)
        .execute(to)
        .await
        .map(drop)
}

async fn insert_payment(to: &mut SqliteConnection, payment: &Payment) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO payment VALUES (?, ?, ?, ?, ?, ?)")
        .bind(payment.book.as_str())
        .bind(payment.payment.as_str())
        .bind(&payment.date)
        .bind(&payment.supplier)
        .bind(&payment.reference)
        .bind(payment.amount)
        .execute(&mut *to)
        .await?;
    sqlx::query(
        "INSERT INTO journal (book, debit, credit, amount_cents, memo) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(payment.book.as_str())
    .bind(CLEARING)
    .bind(BANK)
    .bind(payment.amount)
    .bind(format!("bank line {}", payment.payment))
    .execute(to)
    .await
    .map(drop)
}
